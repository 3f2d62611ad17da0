"""Settings: where they come from, and that each is documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import settings_page
from gateway.config import Settings, describe, load, mask
from gateway.errors import ConfigError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults() -> None:
    assert load(environ={}) == Settings()


def test_the_stronger_source_wins(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("port: 1\nhost: file\nlog_level: debug\n")
    environ = {"GATEWAY_PORT": "2", "GATEWAY_HOST": "environment"}
    settings = load({"port": 3, "host": None}, environ=environ)
    assert (settings.port, settings.host, settings.log_level) == (3, "environment", "debug")


def test_port_is_read_as_platforms_name_it() -> None:
    assert load(environ={"PORT": "5"}).port == 5
    assert load(environ={"PORT": "5", "GATEWAY_PORT": "6"}).port == 6


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"GATEWAY_PORT": "many"}, "GATEWAY_PORT"),
        ({"GATEWAY_REQUEST_TIMEOUT_S": "0"}, "GATEWAY_REQUEST_TIMEOUT_S"),
        ({"GATEWAY_LOG_LEVEL": "loud"}, "GATEWAY_LOG_LEVEL"),
        ({"GATEWAY_MAX_IMAGE_PIXELS": "178956971"}, "GATEWAY_MAX_IMAGE_PIXELS"),
        ({"GATEWAY_CONFIG": "nowhere.yaml"}, "nowhere.yaml"),
    ],
)
def test_an_error_names_its_source(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load(environ=environ)


@pytest.mark.parametrize("content", ["prot: 1", "- port", "port: [", "port: x"])
def test_a_bad_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "gateway.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"gateway\.yaml"):
        load(environ={})


def test_every_setting_is_documented() -> None:
    for name, variable, default, text in describe():
        assert variable == f"GATEWAY_{name.upper()}"
        assert text.endswith("."), f"{name} has no help"
        assert getattr(Settings(), name) == default


def test_the_settings_page_is_as_generated() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text() == settings_page() + "\n", "run: gateway settings --markdown"


def test_credentials_are_masked() -> None:
    settings = Settings(tfserving_url="http://user:secret@host:1")
    assert "secret" not in repr(settings)
    assert mask("http://host:1") == "http://host:1"


def test_addresses_of_further_backends() -> None:
    settings = load(
        {"backend_urls": "one=http://u:secret@host:1, two=https://host/x=y"}, environ={}
    )
    assert settings.url_of("one") == "http://u:secret@host:1"
    assert settings.url_of("two") == "https://host/x=y"
    assert "secret" not in repr(settings)
    with pytest.raises(ConfigError, match="three=http://host:port"):
        settings.url_of("three")
    with pytest.raises(ConfigError, match="backend_urls") as caught:
        load({"backend_urls": "http://u:secret@host:1"}, environ={})
    assert "secret" not in caught.value.detail


def test_required_backends_are_split() -> None:
    assert Settings(required_backends="onnx, tfserving,").required == {"onnx", "tfserving"}
