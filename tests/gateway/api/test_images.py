"""Pictures through a real HTTP connection: in JSON, in forms, as they are; and bad ones."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import schemathesis
import yaml
from aiohttp import FormData

from gateway.backends import MemoryBackend
from gateway.models.rows import Rows
from tests.conftest import MIXED, Client, MakeClient
from tests.pictures import ALONE, BRIGHTNESS, SIZE, brightness_graph, draw, encoded, text

PIXELS = draw((*SIZE, 3))
PNG = encoded(PIXELS)
MEAN = float(PIXELS.mean())
PREDICT = "/v1/predict?model={}"


def write(repository: Path, manifest: dict[str, Any]) -> None:
    version = repository / manifest["name"] / "1"
    version.mkdir(parents=True)
    (version.parent / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    brightness_graph(version / f"{manifest['name']}.onnx", manifest is ALONE)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for manifest in (BRIGHTNESS, ALONE):
        write(tmp_path / "repository", manifest)
    return tmp_path / "repository"


@pytest.fixture
async def client(make_client: MakeClient, repository: Path) -> Client:
    return await make_client(repository, max_body_bytes=400_000, max_image_pixels=1_000_000)


def form(**parts: Any) -> FormData:
    made = FormData()
    for name, content in parts.items():
        made.add_field(name, content, filename="p.png" if isinstance(content, bytes) else None)
    return made


async def answered(client: Client, **body: Any) -> list[dict[str, Any]]:
    """What the model of the picture alone answers."""
    response = await client.post(PREDICT.format("alone"), **body)
    content = await response.json()
    assert response.status == 200, content
    predictions: list[dict[str, Any]] = content["predictions"]
    return predictions


async def test_every_way_of_sending_gives_the_same_answer(client: Client) -> None:
    expected = [{"mean": pytest.approx(MEAN, rel=1e-5), "label": "bright"}]
    for body in (
        {"json": {"photo": text(PNG)}},
        {"json": {"photo": {"b64": text(PNG)}}},
        {"data": form(photo=PNG)},
        {"data": PNG, "headers": {"Content-Type": "image/png"}},
        {"data": PNG, "headers": {"Content-Type": "image/jpeg"}},  # what it is says its head
        {"data": json.dumps({"photo": text(PNG)}), "headers": {"Content-Type": "a/b+json"}},
    ):
        assert await answered(client, **body) == expected
    two = [{"photo": text(PNG)}, {"photo": text(encoded(PIXELS // 8))}]
    rows = await answered(client, json={"instances": two})
    assert [row["label"] for row in rows] == ["bright", "dark"]


async def test_other_features_come_as_text_beside_the_picture(client: Client) -> None:
    data = form(photo=PNG, gain="2", note="größer")
    response = await client.post(PREDICT.format("brightness"), data=data)
    assert (await response.json())["predictions"] == [
        {"mean": pytest.approx(2 * MEAN, rel=1e-5), "said": "größer", "label": "bright"}
    ]
    response = await client.post(PREDICT.format("brightness"), data=form(photo=PNG, gain="much"))
    assert response.status == 422
    errors = (await response.json())["errors"]
    assert [(e["field"], e["kind"]) for e in errors] == [("gain", "type"), ("note", "missing")]


@pytest.mark.parametrize(
    ("model", "kind", "allowed"),
    [
        ("alone", "text/plain", "application/json multipart/form-data image/png image/jpeg"),
        ("alone", "image/gif", "application/json multipart/form-data image/png image/jpeg"),
        ("brightness", "image/png", "application/json multipart/form-data"),
    ],
)
async def test_what_is_not_read_is_refused_with_what_is(
    client: Client, model: str, kind: str, allowed: str
) -> None:
    for door in ("predict", "compare"):
        url = f"/v1/{door}?model={model}"
        response = await client.post(url, data=PNG, headers={"Content-Type": kind})
        assert response.status == 415
        assert response.content_type == "application/problem+json"
        assert (await response.json())["allowed"] == allowed.split()


@pytest.mark.parametrize("model", ["alone", "brightness"])
async def test_a_type_is_what_its_name_says_and_nothing_else(client: Client, model: str) -> None:
    row = json.dumps({"photo": text(PNG)} | ({"gain": 1, "note": ""} if model != "alone" else {}))
    for kind in ("image/png+json", "Application/JSON ; charset=utf-8", "multipart/form-data+json"):
        url, headers = PREDICT.format(model), {"Content-Type": kind}
        response = await client.post(url, data=row, headers=headers)
        assert response.status == 200, await response.text()


@pytest.mark.parametrize("kind", ["(" * 8_000, "a/b" + ";c=d" * 1_900, "image/png" * 800, "/", " "])
async def test_strange_types_are_refused(
    make_client: MakeClient, repository: Path, mixed_repository: Path, kind: str
) -> None:
    assert mixed_repository == repository  # which now has models of both sorts
    client = await make_client(repository)
    for model in ("alone", MIXED["name"]):
        url, headers = PREDICT.format(model), {"Content-Type": kind}
        assert (await client.post(url, data=b"{}", headers=headers)).status == 415


async def test_a_model_without_pictures_takes_json_only(
    make_client: MakeClient, mixed_repository: Path
) -> None:
    client = await make_client(mixed_repository)
    response = await client.post("/v1/predict", data=form(count="1"))
    assert response.status == 415
    assert (await response.json())["allowed"] == ["application/json"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "field"),
    [
        (b"", "image/png", 422, "photo"),
        (b"GIF89a", "image/png", 422, "photo"),
        (PNG[: len(PNG) // 2], "image/png", 422, "photo"),
        (encoded(np.zeros((1_001, 1_000), np.uint8)), "image/png", 422, "photo"),
        (b"{}", "application/json", 422, "photo"),
        (b'{"photo": "!"}', "application/json", 422, "photo"),
        (b"no form", "multipart/form-data; boundary=b", 400, "body"),
        (b"no form", "multipart/form-data", 400, "body"),
        (bytes(400_001), "image/png", 413, None),
    ],
)
async def test_bad_bodies_are_refused_by_name(
    client: Client, content: bytes, kind: str, status: int, field: str | None
) -> None:
    for _ in range(2):  # the first of a kind goes another way than the next
        url, headers = PREDICT.format("alone"), {"Content-Type": kind}
        response = await client.post(url, data=content, headers=headers)
        problem = await response.json()
        assert (response.status, response.content_type) == (status, "application/problem+json")
        named = problem["errors"][0]["field"] if status == 422 else problem.get("field")
        assert named == field


async def test_a_comparison_takes_pictures_and_tells_labels(client: Client) -> None:
    response = await client.post("/v1/compare?model=alone", data=form(photo=PNG))
    (result,) = (await response.json())["results"]
    assert result["predictions"][0]["label"] == "bright"


@pytest.mark.alone
async def test_large_pictures_do_not_hold_up_others(
    make_client: MakeClient, repository: Path
) -> None:
    client = await make_client(repository, max_image_pixels=20_000_000)
    large = encoded(np.zeros((4_000, 4_000), np.uint8))
    headers = {"Content-Type": "image/png"}

    async def post() -> float:
        started = time.perf_counter()
        assert len(await answered(client, data=large, headers=headers)) == 1
        return time.perf_counter() - started

    alone_s = await post()
    asked = [asyncio.create_task(post()) for _ in range(4)]
    waits = []
    while not all(task.done() for task in asked):
        started = time.perf_counter()
        async with client.get("/healthz") as response:
            assert response.status == 200
        waits.append(time.perf_counter() - started)
    await asyncio.gather(*asked)
    # On the loop's thread the looks at its health would have had to wait for whole pictures.
    assert len(waits) > 4
    assert sorted(waits)[len(waits) // 2] < alone_s / 2


async def test_pictures_that_come_too_late_are_refused(
    make_client: MakeClient, repository: Path
) -> None:
    client = await make_client(repository, request_timeout_s=0.02, max_image_pixels=20_000_000)
    large = encoded(np.zeros((4_000, 4_000), np.uint8))
    headers = {"Content-Type": "image/png"}
    response = await client.post(PREDICT.format("alone"), data=large, headers=headers)
    assert response.status == 504
    assert "pictures" in (await response.json())["detail"]


async def test_the_clients_own_limit_holds_while_pictures_are_decoded(
    make_client: MakeClient, repository: Path
) -> None:
    client = await make_client(repository, max_image_pixels=20_000_000)
    large = encoded(np.zeros((4_000, 4_000), np.uint8))
    for sent, content, status in (("20", large, 504), ("soon", b"no picture", 400)):
        headers = {"Content-Type": "image/png", "X-Request-Timeout-Ms": sent}
        response = await client.post(PREDICT.format("alone"), data=content, headers=headers)
        assert response.status == status
        said = (await response.json())["detail"]
        assert ("pictures" if status == 504 else "X-Request-Timeout-Ms") in said


async def test_a_label_that_cannot_be_given_is_the_backends_fault(
    make_client: MakeClient, repository: Path
) -> None:
    def strange(rows: Rows) -> dict[str, Any]:
        return {"mean": np.zeros((rows.count, 3))}

    manifest = ALONE | {"backends": {"memory": {"lineages": {"made": {}}}}}
    (repository / "alone" / "model.yaml").write_text(yaml.safe_dump(manifest))
    client = await make_client(repository, {"memory": MemoryBackend(strange)})
    response = await client.post(PREDICT.format("alone"), json={"photo": text(PNG)})
    assert response.status == 502
    assert "3 values a row for 2 labels" in (await response.json())["detail"]


async def test_the_description_says_what_is_taken_and_answered(client: Client) -> None:
    described = await (await client.get("/v1/models/alone")).json()
    (feature,) = described["features"]
    assert feature == BRIGHTNESS["features"][0]
    assert described["outputs"][0]["labels"] == ["dark", "bright"]
    jsonschema.validate(described["example"], described["schema"])
    assert described["schema"]["properties"]["photo"]["contentEncoding"] == "base64"

    document = await (await client.get("/openapi.json")).json()
    schemathesis.openapi.from_dict(document).validate()
    taken = document["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert set(taken) == {"application/json", "multipart/form-data", "image/png", "image/jpeg"}
    schemas = document["components"]["schemas"]
    assert schemas["brightness.1.Form"]["required"] == ["photo", "gain", "note"]
    prediction = schemas["alone.1.Prediction"]["properties"]["predictions"]
    answer = await answered(client, json=described["example"])
    jsonschema.validate(answer, prediction)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([answer[0] | {"label": "other"}], prediction)
    for payload in ({"photo": text(PNG)}, {"photo": {"b64": text(PNG)}}):
        row = schemas["alone.1.Row"]
        jsonschema.validate(payload, row)
