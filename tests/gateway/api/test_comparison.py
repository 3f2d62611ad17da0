"""What a comparison's answer says: who agrees, how far lineages are apart, and who has answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.conftest import MIXED, MakeClient, write_model
from tests.gateway.api.side_by_side import GOOD, MANIFEST, Stage, off_by


@pytest.fixture
async def stage(make_client: MakeClient, tmp_path: Path) -> Stage:
    stage = Stage()
    await stage.open(make_client, tmp_path)
    return stage


async def test_it_says_who_agrees_within_a_lineage(stage: Stage) -> None:
    stage.torchserve.predictor = off_by(0.004)  # rows 0 and 1 are within 0.01, row 2 is not
    content = await stage.compare(body={"instances": [GOOD] * 3})
    torch, tensorflow = content["agreement"]
    assert torch.pop("largest_difference") == pytest.approx(0.012, abs=1e-6)
    assert torch == {
        "lineage": "pytorch",
        "tolerance": 0.01,
        "backends": ["onnx", "torchserve"],
        "rows": 3,
        "agreeing": 2,
        "output": "total",
        "row": 2,
        "agree": False,
    }
    assert tensorflow["backends"] == ["onnx", "tfserving"]
    assert (tensorflow["largest_difference"], tensorflow["agree"]) == (0.0, True)


async def test_lineages_are_apart_rather_than_at_odds(stage: Stage) -> None:
    stage.torchserve.predictor = off_by(2.0)
    query = "?backends=torchserve,tfserving"
    content = await stage.compare(query, body={"instances": [GOOD] * 2})
    assert content["agreement"] == []
    assert content["distances"] == [
        {
            "lineages": ["pytorch", "tensorflow"],
            "backends": ["torchserve", "tfserving"],
            "rows": 2,
            "largest_difference": 4.0,
            "mean_difference": 3.0,
        }
    ]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
async def test_numbers_that_are_not_finite_are_null_and_agree_with_none(
    stage: Stage, wrong: float
) -> None:
    stage.tfserving.predictor = off_by(wrong)
    content = await stage.compare("?lineage=tensorflow")
    assert content["results"][1]["predictions"] == [{"total": None, "named": "b"}]
    (pair,) = content["agreement"]
    assert (pair["largest_difference"], pair["agreeing"], pair["agree"]) == (None, 0, False)
    assert content["warnings"] == [
        "tfserving/tensorflow: total: some values are not finite numbers; they are given as null"
    ]


async def test_a_stand_in_that_came_up_since_the_last_look_is_marked(
    make_client: MakeClient, tmp_path: Path
) -> None:
    stage = Stage()
    server = stage.tfserving
    server.reachable, server.stand_in = False, "a stand-in 1.0"
    await stage.open(make_client, tmp_path)
    server.reachable = True
    for _ in range(2):
        content = await stage.compare()
        marks = [result["stand_in"] for result in content["results"]]
        assert marks == [None, None, None, "a stand-in 1.0"]
    assert server.calls == [1, 1, 1]  # two comparisons, and one look


@pytest.mark.parametrize("changed", [False, True])
async def test_another_version_is_not_held_against_this_one(
    make_client: MakeClient, tmp_path: Path, changed: bool
) -> None:
    stage = Stage()
    stage.torchserve.has = stage.tfserving.has = "1"
    await stage.open(make_client, tmp_path, reload_interval_s=0.1)
    new = write_model(tmp_path / "later", MANIFEST, "2")
    if changed:
        features = [
            feature | {"range": [0, 9]} if feature["name"] == "count" else feature
            for feature in MIXED["features"]
        ]
        text = yaml.safe_dump(MANIFEST | {"features": features})
        (tmp_path / "mixed" / "model.yaml").write_text(text)
    (tmp_path / "later" / "model.yaml").unlink()
    new.rename(tmp_path / "mixed" / "2")
    for _ in range(50):
        content = await stage.compare()
        if content["version"] == "2":
            break
        await asyncio.sleep(0.1)
    versions = [result["version"] for result in content["results"]]
    assert versions == ["2", "2", "1", "1"]
    assert content["agreement"] == []
    distances = [pair["backends"] for pair in content["distances"]]
    errors = [result["error"] for result in content["results"]]
    if changed:
        assert errors[:2] == [None, None]
        assert "takes another payload than version 2" in errors[2]["detail"]
        assert distances == [["onnx", "onnx"]]
    else:
        assert errors == [None] * 4
        assert distances == [["onnx", "onnx"], ["torchserve", "tfserving"]]
        assert content["warnings"][0] == (
            "torchserve/pytorch: answered with version 1, not 2, so it is held against none of "
            "that version"
        )
    pinned = await stage.compare("?version=1")
    assert pinned["version"] == "1"
    assert [pair["agree"] for pair in pinned["agreement"]] == [True, True]
