"""TLS: who is served, and that certificates that cannot be used are said at the start."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from aiohttp import ClientSession

from gateway.app import create_app, start
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.tls import server_context
from tests.processes import Gateway

PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}
OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs openssl to make certificates")


class Pair(NamedTuple):
    """PEM files of a certificate for localhost and its key."""

    certificate: Path
    key: Path


def make_pair(folder: Path, *options: str) -> Pair:
    pair = Pair(folder / "certificate.pem", folder / "key.pem")
    command = [str(OPENSSL), "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    command += ["ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost", "-days", "2"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(pair.key), "-out", str(pair.certificate), *(options or ["-nodes"])]
    subprocess.run(command, check=True, capture_output=True)
    return pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path)


def settings(certificate: Path | str, key: Path | str, repository: Path = Path()) -> Settings:
    return Settings(
        repository=str(repository),
        tls_certificate=str(certificate),
        tls_key=str(key),
        read_timeout_s=0.5,
    )


async def test_it_serves_https_and_nothing_else(pair: Pair, mixed_repository: Path) -> None:
    runner = await start(create_app(settings(*pair, mixed_repository)), "localhost", 0)
    port = runner.addresses[0][1]
    trusting = ssl.create_default_context(cafile=pair.certificate)
    async with ClientSession(f"https://localhost:{port}") as client:
        for _ in range(3):  # the later ones are taken by the connection
            answer = await client.post("/v1/predict", json=PAYLOAD, ssl=trusting)
            assert answer.status == 200
    old = ssl.create_default_context(cafile=pair.certificate)
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("localhost", port, ssl=old)
    for sent in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"", b"\x16\x03\x01"):
        reader, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
        writer.write(sent)
        # A client that does not finish the handshake is not kept.
        assert b"HTTP" not in await asyncio.wait_for(reader.read(), 3)
        writer.close()
    await runner.cleanup()


def test_the_process_serves_https(pair: Pair, mixed_repository: Path) -> None:
    files = {"GATEWAY_TLS_CERTIFICATE": str(pair.certificate), "GATEWAY_TLS_KEY": str(pair.key)}
    with Gateway(mixed_repository, **files) as gateway, requests.Session() as client:
        assert gateway.url.startswith("https://")
        for _ in range(3):
            answer = client.post(
                gateway.url + "/v1/predict", json=PAYLOAD, verify=str(pair.certificate), timeout=5
            )
            assert answer.status_code == 200


def test_no_files_mean_no_tls() -> None:
    assert server_context(Settings()) is None


def test_files_that_cannot_be_used_are_refused(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_pair(tmp_path / "other", "-passout", "pass:s3cret")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for certificate, key, reason in (
        (pair.certificate, "", "tls_key"),
        ("", pair.key, "tls_certificate"),
        (tmp_path / "nowhere.pem", pair.key, r"tls_certificate: .*nowhere\.pem: No such file"),
        (pair.certificate, tmp_path, "tls_key: .*directory"),
        (empty, pair.key, r"empty\.pem"),
        (pair.key, pair.certificate, "not a PEM certificate"),
        (other.certificate, pair.key, "MISMATCH"),
        (other.certificate, other.key, "passphrase"),
    ):
        with pytest.raises(ConfigError, match=reason):
            server_context(settings(certificate, key))


async def test_the_gateway_does_not_start_without(pair: Pair, mixed_repository: Path) -> None:
    pair.key.write_text("broken")
    with pytest.raises(ConfigError, match="tls_key"):
        await start(create_app(settings(*pair, mixed_repository)), "localhost", 0)
