"""The example digit-three: data, training, what is committed, and that a build makes it again."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from aiohttp import FormData
from sklearn.datasets import load_digits

from gateway.models.graph import Graph
from gateway.models.manifest import Manifest
from gateway.models.validator import Validator
from serving import build, example, layout
from serving.digit_three import net
from serving.digit_three.data import split
from serving.digit_three.definition import NAME, THRESHOLD
from serving.digit_three.steps import GOAL, score
from serving.export import check
from tests.conftest import ROOT, MakeClient
from tests.pictures import encoded, text
from tests.serving import building

COMMITTED = ROOT / "serving" / "examples" / NAME
#: What another order of additions may change in a probability; other pictures change it by 0.5.
TOLERANCE = 0.05


def card_of(model: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((model / layout.VERSION / layout.CARD).read_text())
    return card


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder made by the documented command."""
    return building.build(NAME, tmp_path_factory.mktemp("examples"))


def test_the_held_out_part_is_a_fair_share_that_no_training_sees() -> None:
    training, held_out = split(1)
    digits: Any = load_digits()
    assert len(training) + len(held_out) == len(digits.target) == 1_797
    assert held_out.threes.sum() == pytest.approx(0.3 * (digits.target == 3).sum(), abs=1)
    assert held_out.pixels.shape[1:] == (28, 28)
    assert held_out.pixels.dtype == np.uint8
    assert held_out.pixels.max() == 255
    seen = {picture.tobytes() for picture in training.pixels}
    assert not seen & {picture.tobytes() for picture in held_out.pixels}
    assert split(2)[0].sha256() != training.sha256()


def test_what_is_committed_reaches_the_goal_before_and_after_the_export() -> None:
    card = card_of(COMMITTED)
    training, held_out = split(card["seeds"]["split"])
    assert card["data"]["training_rows_sha256"] == training.sha256()
    answer = check.run_graph(COMMITTED / layout.VERSION / layout.PYTORCH, held_out.rows())
    scores = score(held_out, answer[:, 0].astype(np.float64))
    assert scores["accuracy"] >= GOAL
    metrics = card["metrics"]
    assert metrics["rows"]["held_out"] == len(held_out) == 540
    assert metrics["before_export"]["held_out"] == metrics["after_export"]["held_out"] == scores
    assert max(card["parity"]["greatest_difference"].values()) <= card["parity"]["tolerance"]


def test_the_card_names_every_file_as_it_is() -> None:
    version = COMMITTED / layout.VERSION
    files = {file.name for file in version.iterdir()} - {layout.CARD}
    card = card_of(COMMITTED)
    assert set(card["files"]) == files
    for name, entry in card["files"].items():
        content = (version / name).read_bytes()
        assert entry == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_the_archive_holds_the_code_of_this_checkout() -> None:
    with zipfile.ZipFile(COMMITTED / layout.VERSION / layout.archive_name(NAME)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    sources = {name: ROOT / name for name in content if name.startswith(("gateway/", "handlers/"))}
    sources |= {"handler.py": ROOT / "handlers" / "handler.py", "net.py": Path(net.__file__)}
    sources["model.yaml"] = COMMITTED / "model.yaml"
    outdated = [name for name, file in sources.items() if content[name] != file.read_bytes()]
    assert outdated == [], "build again: python -m serving build digit-three"


def test_no_file_names_the_machine_it_was_built_on() -> None:
    for file in COMMITTED.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        for home in (str(ROOT).encode(), b"site-packages", b"/tmp/"):
            assert home not in content, file.name


@pytest.mark.timeout(900)  # it trains the network
def test_a_build_makes_it_again(rebuilt: Path) -> None:
    assert (rebuilt / "model.yaml").read_text() == (COMMITTED / "model.yaml").read_text()
    cards = [card_of(model) for model in (rebuilt, COMMITTED)]
    assert cards[0]["data"] == cards[1]["data"]
    assert set(cards[0]["files"]) == set(cards[1]["files"])
    rows = split(cards[0]["seeds"]["split"])[1].rows()
    answers = [
        check.run_graph(model / layout.VERSION / layout.PYTORCH, rows).astype(np.float64)
        for model in (rebuilt, COMMITTED)
    ]
    assert np.abs(answers[0] - answers[1]).max() < TOLERANCE


def test_options_of_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="its own data"):
        build.build_model(NAME, tmp_path, 100, tmp_path / "rows.csv", 1)
    assert example.repository(NAME) == COMMITTED.parent
    assert example.repository("weight-change") == ROOT / "serving" / "repository"


async def test_it_is_served_and_labels_what_it_is_shown(make_client: MakeClient) -> None:
    client = await make_client(COMMITTED.parent)
    held_out = split(card_of(COMMITTED)["seeds"]["split"])[1]
    rows = [{"image": text(encoded(picture))} for picture in held_out.pixels]
    response = await client.post("/v1/predict", json={"instances": rows})
    predictions = (await response.json())["predictions"]
    labels = np.array([row["label"] == "3" for row in predictions])
    assert (labels == [row["probability"] >= THRESHOLD for row in predictions]).all()
    assert (labels == held_out.threes).mean() >= GOAL
    manifest = Manifest.load(COMMITTED)
    three = await client.post("/v1/predict", json=manifest.example)
    assert (await three.json())["predictions"][0]["label"] == "3"


def test_gateway_and_graph_see_the_same_pixels() -> None:
    manifest = Manifest.load(COMMITTED)
    held_out = split(1)[1]
    rows = Validator(manifest).convert([{"image": encoded(held_out.pixels[0])}])
    np.testing.assert_array_equal(rows.columns["image"], held_out.pixels[:1])
    graph = Graph(COMMITTED / layout.VERSION / layout.PYTORCH)
    assert graph.inputs["image"].type == "tensor(uint8)"


async def test_the_readme_sends_a_picture(make_client: MakeClient) -> None:
    form = FormData()
    picture = COMMITTED.with_name("three.png")
    form.add_field("image", picture.read_bytes(), filename=picture.name, content_type="image/png")
    client = await make_client(COMMITTED.parent)
    async with client.post("/v1/predict", data=form) as answer:
        assert (answer.status, (await answer.json())["predictions"][0]["label"]) == (200, "3")
