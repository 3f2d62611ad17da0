"""Who may pass which door, on the connection's way and on the application's."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, web

from gateway.api import openapi
from gateway.api.connection import Arrival
from gateway.api.guard import Need, need
from gateway.api.guarded import GuardedDoor
from gateway.api.keys import hash_of
from gateway.app import create_app, start
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.routing.router import open_router
from tests.conftest import Client, MakeClient

PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}
USER, ADMIN = "key-of-a-user", "key-of-an-admin"
Headers = dict[str, str]
AS_USER: Headers = {"Authorization": f"Bearer {USER}"}
AS_ADMIN: Headers = {"X-API-Key": ADMIN}
#: The connection takes the first kind, the application the second.
WAYS: tuple[Headers, Headers] = ({}, {"Content-Encoding": "gzip"})


def write_keys(path: Path, **user: Any) -> Path:
    return write_entries(
        path,
        {"name": "user", "hash": hash_of(USER), **user},
        {"name": "admin", "hash": hash_of(ADMIN), "admin": True},
    )


def write_entries(path: Path, *entries: dict[str, Any]) -> Path:
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump({"keys": list(entries)}))
    os.replace(new, path)
    return path


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return write_keys(tmp_path / "keys.yaml")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the guarded door has taken each request it was offered."""
    results: list[bool] = []
    original: Callable[[GuardedDoor, Arrival], bool] = GuardedDoor.take

    def take(door: GuardedDoor, arrival: Arrival) -> bool:
        results.append(original(door, arrival))
        return results[-1]

    monkeypatch.setattr(GuardedDoor, "take", take)
    return results


async def predict(
    client: Client, headers: Headers
) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    body = json.dumps(PAYLOAD).encode()
    if "Content-Encoding" in headers:
        body = gzip.compress(body)
    headers = {"Content-Type": "application/json"} | headers
    async with client.post("/v1/predict", data=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None), answer.headers


async def status(client: Client, path: str, headers: Headers, method: str = "GET") -> int:
    async with client.request(method, path, headers=headers) as answer:
        return answer.status


async def test_predictions_need_a_key_on_both_ways(
    make_client: MakeClient, mixed_repository: Path, keys: Path, taken: list[bool]
) -> None:
    client = await make_client(mixed_repository, api_keys_file=str(keys))
    assert (await predict(client, AS_USER))[0] == 200
    for way in WAYS:
        assert (await predict(client, way | AS_USER))[0] == 200
        assert (await predict(client, way | AS_ADMIN))[0] == 200
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"} | AS_ADMIN):
            code, content, sent = await predict(client, way | headers)
            assert (code, content["title"]) == (401, "An API key is needed")
            assert sent["WWW-Authenticate"].startswith("Bearer")
            assert sent["X-Request-Id"] == content["request_id"]
    assert taken == [True] * 5


async def test_each_door_has_its_need(
    make_client: MakeClient, mixed_repository: Path, keys: Path
) -> None:
    client = await make_client(mixed_repository, api_keys_file=str(keys))
    for path, codes in {
        "/healthz": (200, 200, 200),
        "/readyz": (200, 200, 200),
        "/v1/models": (401, 200, 200),
        "/v1/models/mixed": (401, 200, 200),
        "/openapi.json": (401, 200, 200),
        "/metrics": (401, 403, 200),
        "/v1/backends": (401, 403, 200),
        "/nowhere": (401, 404, 404),
    }.items():
        found = [await status(client, path, who) for who in ({}, AS_USER, AS_ADMIN)]
        assert (path, tuple(found)) == (path, codes)
    assert await status(client, "/metrics", {}, "HEAD") == 401
    assert await status(client, "/v1/predict", {}) == 401  # before 405
    assert need("/v1/compare", "POST") is need("/v1/predict", "POST") is Need.KEY
    for who, code in (({}, 401), (AS_USER, 200), (AS_ADMIN, 200)):
        async with client.post("/v1/compare", json=PAYLOAD, headers=who) as answer:
            assert answer.status == code


def test_what_edits_needs_more_than_what_shows() -> None:
    for door in ("/v1/routing", "/v1/routing/{model}", "/v1/routing/{model}/shift"):
        assert {need(door, method) for method in ("PUT", "POST", "DELETE")} == {Need.EDIT}
        assert {need(door, method) for method in ("GET", "HEAD")} == {Need.READ}
    assert need("/v1/shadow", "GET") is Need.READ


async def shift(request: web.Request) -> web.Response:
    """A door that edits."""
    return web.Response(text="shifted")


@pytest.mark.parametrize("private", [False, True])
async def test_an_edit_always_needs_an_admin(
    mixed_repository: Path,
    keys: Path,
    free_port: int,
    private: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, asked = "/v1/routing/{model}", "/v1/routing/mixed"
    monkeypatch.setattr("gateway.app._MANAGEMENT", [web.put(path, shift)])
    for file, codes in ("", (403, 403, 403)), (str(keys), (401, 403, 200)):
        settings = Settings(
            repository=str(mixed_repository),
            api_keys_file=file,
            management_port=free_port if private else 0,
        )
        runner = await start(create_app(settings), "127.0.0.1", 0)
        port = free_port if private else runner.addresses[0][1]
        async with ClientSession(f"http://127.0.0.1:{port}") as client:
            with caplog.at_level(logging.INFO, "gateway"):
                found = [await status(client, asked, who, "PUT") for who in ({}, AS_USER, AS_ADMIN)]
            if not file:
                content = await (await client.put(asked)).json(content_type=None)
                assert "GATEWAY_API_KEYS_FILE" in content["detail"]
        await runner.cleanup()
        assert tuple(found) == codes
    edits = [getattr(record, "fields", {}) for record in caplog.records if "edit" in record.msg]
    assert edits == [{"door": path, "method": "PUT", "api_key": "admin"}]


async def test_an_admin_edits_the_policy(
    make_client: MakeClient, mixed_repository: Path, keys: Path
) -> None:
    client = await make_client(mixed_repository, api_keys_file=str(keys))
    wanted = {"default": "onnx/pytorch"}
    for who, code in ((AS_USER, 403), (AS_ADMIN, 200)):
        async with client.put("/v1/routing/mixed", json=wanted, headers=who) as answer:
            assert answer.status == code
    async with client.get("/v1/routing", headers=AS_ADMIN) as answer:
        assert (await answer.json())["models"] == {"mixed": wanted}


async def test_a_rate_counts_each_request_once(
    make_client: MakeClient, mixed_repository: Path, tmp_path: Path, taken: list[bool]
) -> None:
    keys = write_keys(tmp_path / "keys.yaml", rate=0.001, burst=6)
    client = await make_client(mixed_repository, api_keys_file=str(keys))
    codes = [(await predict(client, WAYS[i % 2] | AS_USER))[0] for i in range(4)]
    assert codes == [200] * 4
    assert (await predict(client, AS_USER | {"Content-Type": "text/plain"}))[0] == 415
    assert taken[-1] is False  # it was given back, for the application to answer
    assert await status(client, "/v1/models", AS_USER) == 200
    for way in WAYS:
        code, content, sent = await predict(client, way | AS_USER)
        assert (code, content["title"]) == (429, "Too many requests")
        assert int(sent["Retry-After"]) > 100
        assert (await predict(client, way | AS_ADMIN))[0] == 200
    assert await status(client, "/healthz", AS_USER) == 200


async def test_a_key_can_be_taken_away(
    make_client: MakeClient, mixed_repository: Path, keys: Path
) -> None:
    client = await make_client(mixed_repository, api_keys_file=str(keys))
    assert (await predict(client, AS_USER))[0] == 200
    write_entries(keys, {"name": "other", "hash": hash_of(ADMIN)})
    await asyncio.sleep(1.3)
    for way in WAYS:
        assert (await predict(client, way | AS_USER))[0] == 401
        assert (await predict(client, way | AS_ADMIN))[0] == 200
    assert await status(client, "/metrics", AS_ADMIN) == 403


def test_a_file_of_keys_that_cannot_be_used_is_said(mixed_repository: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        create_app(Settings(repository=str(mixed_repository), api_keys_file="nowhere.yaml"))


async def test_management_has_a_port_of_its_own(
    mixed_repository: Path, keys: Path, free_port: int
) -> None:
    app = create_app(
        Settings(
            repository=str(mixed_repository), management_port=free_port, api_keys_file=str(keys)
        )
    )
    runner = await start(app, "127.0.0.1", 0)
    async with (
        ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as public,
        ClientSession(f"http://127.0.0.1:{free_port}") as private,
    ):
        for path in ("/metrics", "/v1/backends"):
            assert await status(public, path, AS_ADMIN) == 404
            assert await status(private, path, {}) == 200
        for path in ("/healthz", "/readyz"):
            assert await status(public, path, {}) == await status(private, path, {}) == 200
        for _ in range(2):  # the second would be taken by the connection
            assert (await predict(public, AS_USER))[0] == 200
            assert (await predict(private, AS_USER))[0] == 404
        text = await (await private.get("/metrics")).text()
        assert 'door="/v1/predict",lineage="pytorch"' in text
    await runner.cleanup()
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection("127.0.0.1", free_port)


async def test_the_document_tells_of_keys_and_ports(
    make_client: MakeClient, mixed_repository: Path, keys: Path
) -> None:
    client = await make_client(mixed_repository, api_keys_file=str(keys))
    async with client.get("/openapi.json", headers=AS_USER) as answer:
        described = await answer.json()
    assert described["security"] == [{"bearer": []}, {"header": []}]
    assert described["components"]["securitySchemes"].keys() == {"bearer", "header"}
    paths = described["paths"]
    assert paths["/healthz"]["get"]["security"] == []
    assert {"401", "429"} <= paths["/v1/predict"]["post"]["responses"].keys()
    assert "403" in paths["/metrics"]["get"]["responses"]
    document = openapi.document(open_router(Settings(repository=str(mixed_repository))))
    assert "security" not in document
    assert "403" in document["paths"]["/v1/routing/{model}"]["put"]["responses"]
    elsewhere = Settings(repository=str(mixed_repository), management_port=9)
    document = openapi.document(open_router(elsewhere))
    assert not [path for path in document["paths"] if path.startswith("/v1/routing")]
    assert "/metrics" not in document["paths"]


def test_the_management_port_is_another() -> None:
    with pytest.raises(ConfigError, match="management_port"):
        create_app(Settings(port=8000, management_port=8000))
