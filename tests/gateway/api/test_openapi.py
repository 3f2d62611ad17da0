"""``GET /openapi.json``: it is valid, it is complete, and every answer is as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
import schemathesis
from aiohttp import ClientResponse
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from gateway.api.openapi import document
from gateway.api.state import ROUTER
from gateway.app import create_app, start
from gateway.backends import MemoryBackend, OnnxBackend
from gateway.config import Settings
from gateway.errors import BackendError, BackendTimeout, BackendUnavailable
from gateway.models.manifest import Manifest
from gateway.models.rows import Rows
from gateway.routing.router import open_router
from tests.conftest import MIXED, REPOSITORY, Client, MakeClient, write_model

GOOD: dict[str, Any] = {"count": 2, "size": 0.5, "big": True, "name": "b"}

#: What the mixed model lacks: strings of any kind, tensors, small dtypes, refused ranges.
WIDE: dict[str, Any] = {
    "name": "wide",
    "features": [
        {"name": "note", "type": "string", "description": "Anything."},
        {"name": "level", "type": "integer", "dtype": "uint8", "range": [10, 20], "unit": "dB"},
        {"name": "half", "type": "number", "dtype": "float16"},
        {"name": "pair", "type": "tensor", "shape": [2], "dtype": "int16"},
        {"name": "path", "type": "tensor", "shape": [None, 2], "unit": "m"},
        {"name": "flags", "type": "tensor", "shape": [1], "dtype": "bool"},
        {"name": "words", "type": "tensor", "shape": [2], "dtype": "string"},
    ],
    "outputs": [{"name": "grid", "shape": [2, None], "unit": "m"}, {"name": "ok"}],
    "backends": {"memory": {"lineages": {"made": {}, "up": {}}}},
    "out_of_range": "reject",
}
FITS: dict[str, Any] = {
    "note": "",
    "level": 12,
    "half": 0.5,
    "pair": [1, -2],
    "path": [[1, 2.5], [3, 4]],
    "flags": [True],
    "words": ["a", "b"],
}


class Described:
    """A document, and checks of what it describes."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        registry: Registry[Any] = Registry()
        resource = DRAFT202012.create_resource(content)
        self._registry = registry.with_resource("urn:document", resource)

    def check(self, value: Any, *where: str) -> None:
        """Raise ``jsonschema.ValidationError`` unless the schema there takes the value."""
        steps = "/".join(step.replace("~", "~0").replace("/", "~1") for step in where)
        schema = {"$ref": f"urn:document#/{steps}"}
        Draft202012Validator(schema, registry=self._registry).validate(value)

    async def check_response(self, path: str, response: ClientResponse) -> None:
        """Status, headers, content type and content are as described for the path."""
        method = response.method.lower()
        where = ["paths", path, method, "responses", str(response.status)]
        described = self.content
        for step in where:
            described = described[step]
        if "$ref" in described:
            where = described["$ref"].removeprefix("#/").split("/")
            described = self.content[where[0]][where[1]][where[2]]
        missing = [name for name in described["headers"] if name not in response.headers]
        assert not missing
        (kind,) = described["content"]
        assert response.content_type == kind
        content = await (response.json if kind.endswith("json") else response.text)()
        self.check(content, *where, "content", kind, "schema")


def wide_answers(rows: Rows) -> dict[str, Any]:
    grid = np.ones((rows.count, 2, 3))
    grid[0, 0, 0] = np.nan
    return {"grid": grid, "ok": np.array([True] * rows.count)}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two models, one of them in two versions."""
    write_model(tmp_path / "repository" / "mixed")
    write_model(tmp_path / "repository" / "wide", WIDE)
    (tmp_path / "repository" / "wide" / "2").mkdir()
    return tmp_path / "repository"


@pytest.fixture
def memory() -> MemoryBackend:
    return MemoryBackend(wide_answers)


@pytest.fixture
async def client(make_client: MakeClient, repository: Path, memory: MemoryBackend) -> Client:
    backends = {"onnx": OnnxBackend(1), "memory": memory}
    return await make_client(repository, backends, max_body_bytes=20_000, max_instances=3)


async def read(client: Client) -> Described:
    response = await client.get("/openapi.json")
    described = Described(await response.json())
    await described.check_response("/openapi.json", response)
    return described


def schemas(content: Any) -> Iterator[Any]:
    """Every JSON Schema of a document: its components, and those of parameters and content."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "schema" and isinstance(value, dict):
                yield value
            elif key == "schemas":
                yield from value.values()
            else:
                yield from schemas(value)
    elif isinstance(content, list):
        for value in content:
            yield from schemas(value)


async def test_it_is_openapi_and_its_schemas_are_json_schema(client: Client) -> None:
    described = await read(client)
    schemathesis.openapi.from_dict(described.content).validate()  # against the OAS 3.1 schema
    found = list(schemas(described.content))
    for schema in found:
        Draft202012Validator.check_schema(schema)
    assert len(found) > 40


async def test_it_describes_every_door(client: Client) -> None:
    described = await read(client)
    problem = await (await client.get("/nowhere")).json()
    assert sorted(described.content["paths"]) == sorted(problem["allowed"])


async def test_it_names_what_is_there(client: Client) -> None:
    described = await read(client)
    operation = described.content["paths"]["/v1/predict"]["post"]
    parameters = {p["name"]: p for p in operation["parameters"] if p.get("in") == "query"}
    assert {name: p["schema"]["enum"] for name, p in parameters.items()} == {
        "backend": ["auto", "onnx", "memory"],
        "model": ["mixed", "wide"],
        "version": ["1", "2"],
        "lineage": ["pytorch", "made", "up"],
    }
    assert parameters["model"]["required"]
    assert not parameters["version"]["required"]
    compared = described.content["paths"]["/v1/compare"]["post"]["parameters"]
    (backends,) = [p["schema"] for p in compared if p.get("name") == "backends"]
    assert backends["items"]["enum"] == ["onnx", "memory"]
    names = [c for c in described.content["components"]["schemas"] if c.endswith(".Row")]
    assert names == ["mixed.1.Row", "wide.1.Row"]


def test_its_examples_fit_its_schemas() -> None:
    described = Described(document(open_router(Settings(repository=str(REPOSITORY)))))
    where = ("paths", "/v1/predict", "post", "requestBody", "content", "application/json")
    body = described.content
    for step in where:
        body = body[step]
    (example,) = [entry["value"] for entry in body["examples"].values()]
    described.check(example, *where, "schema")
    described.check({"instances": [example] * 2}, *where, "schema")
    with pytest.raises(jsonschema.ValidationError):
        described.check({"instances": []}, *where, "schema")
    properties = described.content["components"]["schemas"]["weight-change.1.Row"]["properties"]
    for schema in properties.values():
        (value,) = schema["examples"]
        Draft202012Validator(schema).validate(value)


REQUESTS: list[tuple[str, str, Any, int]] = [
    ("/v1/predict", "model=mixed", GOOD, 200),
    ("/v1/predict", "model=mixed&backend=auto", {"instances": [GOOD, GOOD | {"count": 99}]}, 200),
    ("/v1/predict", "model=wide&version=1&lineage=up", {"instances": [FITS] * 3}, 200),
    ("/v1/predict", "model=mixed", b"{", 400),
    ("/v1/predict", "bakcend=onnx", GOOD, 400),
    ("/v1/predict", "", GOOD, 400),
    ("/v1/predict", "model=nope", GOOD, 404),
    ("/v1/predict", "model=mixed", b" " * 30_000, 413),
    ("/v1/predict", "model=mixed", {"instances": [{}] * 3}, 422),
    ("/v1/predict", "model=wide", {f"k{index}": 1 for index in range(30)}, 422),
    ("/v1/compare", "model=mixed", GOOD, 200),
    ("/v1/compare", "model=mixed&backends=onnx&lineage=pytorch", {"instances": [GOOD] * 3}, 200),
    ("/v1/compare", "model=wide", {"instances": [FITS] * 2}, 200),
    ("/v1/compare", "model=mixed", b"{", 400),
    ("/v1/compare", "model=mixed&backend=onnx", GOOD, 400),
    ("/v1/compare", "", GOOD, 400),
    ("/v1/compare", "model=wide&backends=memory,onnx", FITS, 404),
    ("/v1/compare", "model=mixed", b" " * 30_000, 413),
    ("/v1/compare", "model=mixed", {"instances": [{}]}, 422),
    ("/v1/models", "", None, 200),
    ("/v1/models", "a=b", None, 400),
    ("/v1/models/{name}", "name=mixed", None, 200),
    ("/v1/models/{name}", "name=wide&version=2", None, 200),
    ("/v1/models/{name}", "name=mixed&colour=red", None, 400),
    ("/v1/models/{name}", "name=other", None, 404),
    ("/v1/backends", "", None, 200),
    ("/healthz", "", None, 200),
    ("/readyz", "", None, 200),
    ("/metrics", "", None, 200),
]


@pytest.mark.parametrize(("path", "query", "body", "status"), REQUESTS)
async def test_answers_are_as_described(
    client: Client, path: str, query: str, body: Any, status: int
) -> None:
    described = await read(client)
    values = dict(pair.split("=") for pair in query.split("&") if pair)
    url = path.format(name=values.pop("name")) if "{" in path else path
    if body is None:
        response = await client.get(url, params=values)
    else:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        response = await client.post(url, params=values, data=data, headers=headers)
    assert response.status == status
    await described.check_response(path, response)


async def test_so_are_refused_media_types(client: Client) -> None:
    for path in ("/v1/predict", "/v1/compare"):
        response = await client.post(f"{path}?model=mixed", data="count=1")
        assert response.status == 415
        await (await read(client)).check_response(path, response)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("a bug"), 500),
        (BackendError("memory", "it broke"), 502),
        (BackendUnavailable("memory", "it is down"), 503),
        (BackendTimeout("memory", "it is late"), 504),
    ],
)
async def test_so_are_failures(
    client: Client, memory: MemoryBackend, error: Exception, status: int
) -> None:
    def fail(rows: Rows) -> dict[str, Any]:
        raise error

    described = await read(client)
    memory.predictor = fail
    for path in ("/v1/predict", "/v1/compare"):
        response = await client.post(f"{path}?model=wide", json=FITS)
        assert response.status == status
        await described.check_response(path, response)
    await described.check_response("/v1/backends", await client.get("/v1/backends"))


async def test_so_is_a_comparison_of_which_a_part_failed(
    make_client: MakeClient, tmp_path: Path
) -> None:
    backends = {"onnx": MIXED["backends"]["onnx"], "memory": {"lineages": {"pytorch": {}}}}
    write_model(tmp_path / "mixed", MIXED | {"backends": backends})
    memory = MemoryBackend(wide_answers)
    memory.fail = BackendUnavailable("memory", "it is down")
    client = await make_client(tmp_path, {"onnx": OnnxBackend(1), "memory": memory})
    response = await client.post("/v1/compare", json=GOOD)
    assert response.status == 200
    await (await read(client)).check_response("/v1/compare", response)


async def test_so_is_a_gateway_that_is_not_ready(make_client: MakeClient, repository: Path) -> None:
    (repository / "mixed" / "1" / "mixed.onnx").unlink()
    client = await make_client(repository)
    described = await read(client)
    response = await client.get("/readyz")
    assert response.status == 503
    await described.check_response("/readyz", response)
    await described.check_response("/v1/models", await client.get("/v1/models"))


async def test_it_follows_the_repository(repository: Path) -> None:
    app = create_app(Settings(repository=str(repository)))
    runner = await start(app, "127.0.0.1", 0)
    try:
        async with Client("http://{}:{}".format(*runner.addresses[0][:2])) as client:
            before = await read(client)
            manifest = msgspec.convert(MIXED | {"description": "Adds."}, Manifest)
            app[ROUTER].repository.add(manifest, "3", repository)
            after = await read(client)
    finally:
        await runner.cleanup()
    added = set(after.content["components"]["schemas"]) - set(
        before.content["components"]["schemas"]
    )
    kinds = ("Row", "Input", "Prediction", "Comparison")
    assert added == {f"mixed.3.{kind}" for kind in kinds}
