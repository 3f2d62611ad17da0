"""Second paths of doors, as the clouds' model endpoints ask for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import create_app
from gateway.config import Settings, load
from gateway.errors import ConfigError
from tests.conftest import MakeClient

ROW = {"count": 1, "size": 1.0, "big": False, "name": "a"}


@pytest.mark.parametrize(
    ("predict", "health"),
    [
        ("/invocations", "/ping"),
        ("/v1/endpoints/7/deployedModels/8:predict", "/v1/endpoints/7/deployedModels/8"),
        ("/v1/predict", "/readyz"),
    ],
)
async def test_a_second_path_is_the_same_door(
    make_client: MakeClient, mixed_repository: Path, predict: str, health: str
) -> None:
    client = await make_client(mixed_repository, predict_route=predict, health_route=health)
    for path in (predict, predict, "/v1/predict"):  # the second goes by the connection's own door
        async with client.post(f"{path}?backend=onnx", json=ROW) as answer:
            assert answer.status == 200
            assert (await answer.json())["predictions"][0]["total"] == 2.0
    for path in (health, "/readyz"):
        async with client.get(path) as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ready"})
    # To whoever watches, it is one door.
    async with client.get("/metrics") as answer:
        text = await answer.text()
    assert 'door="/v1/predict"' in text
    assert predict == "/v1/predict" or predict not in text


async def test_a_second_health_path_needs_no_key_and_the_other_does(
    make_client: MakeClient, mixed_repository: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("keys: []\n")
    client = await make_client(
        mixed_repository,
        predict_route="/invocations",
        health_route="/ping",
        api_keys_file=str(keys),
    )
    async with client.get("/ping") as answer:
        assert answer.status == 200
    async with client.post("/invocations", json=ROW) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("name", "path"), [("predict_route", "/readyz"), ("health_route", "/healthz")]
)
def test_a_taken_path_is_refused(mixed_repository: Path, name: str, path: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: {path} is taken"):
        create_app(load({"repository": str(mixed_repository), name: path}, environ={}))


def test_both_on_one_path_are_refused(mixed_repository: Path) -> None:
    both = Settings(repository=str(mixed_repository), predict_route="/x", health_route="/x")
    with pytest.raises(ConfigError, match="health_route: /x is taken"):
        create_app(both)


@pytest.mark.parametrize("path", ["ping", "/{name}", "/a b", "/a?b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="health_route"):
        load({"health_route": path}, environ={})


def test_vertex_ai_says_it_in_its_own_words() -> None:
    environ = {
        "AIP_HTTP_PORT": "8080",
        "AIP_HEALTH_ROUTE": "/v1/endpoints/1",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/1:predict",
    }
    settings = load(environ=environ)
    assert settings.port == 8080
    assert settings.health_route == "/v1/endpoints/1"
    assert settings.predict_route == "/v1/endpoints/1:predict"
    assert load(environ=environ | {"GATEWAY_HEALTH_ROUTE": "/ping"}).health_route == "/ping"
