"""``GET /v1/models/{name}``: what a client needs to know of labels, without rules of its own."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import MIXED, MakeClient, write_model
from tests.gateway.api.test_openapi import read

OUTPUTS = [
    {"name": "plain"},
    {"name": "one", "labels": ["no", "yes"]},
    {"name": "other", "labels": ["no", "yes"], "threshold": 0.25},
    {"name": "several", "labels": ["a", "b", "c"], "shape": [3]},
]


async def test_each_output_says_where_its_label_stands(
    make_client: MakeClient, tmp_path: Path
) -> None:
    write_model(tmp_path / "some", MIXED | {"name": "some", "outputs": OUTPUTS})
    write_model(tmp_path / "single", MIXED | {"name": "single", "outputs": OUTPUTS[:2]})
    client = await make_client(tmp_path)
    described = await read(client)
    found = {}
    for name in ("some", "single"):
        response = await client.get(f"/v1/models/{name}")
        await described.check_response("/v1/models/{name}", response)
        outputs = (await response.json())["outputs"]
        found[name] = [(one.get("label_key"), one.get("threshold")) for one in outputs]
    assert found == {
        "some": [(None, None), ("one_label", 0.5), ("other_label", 0.25), ("several_label", None)],
        "single": [(None, None), ("label", 0.5)],
    }
    properties = described.content["components"]["schemas"]
    assert set(properties["Placement"]["required"]) == {"asked", "active", "nodes", "warnings"}
