"""The log's lines, and what must never be in one."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import requests

from gateway.logs import request_fields
from tests.processes import Gateway

SECRET = "hunter2-do-not-log"


def test_a_request_s_line_leaves_out_what_is_empty() -> None:
    fields = request_fields(
        request_id="i", method="POST", path="/p" + "x" * 500, status=200, client=None, seconds=0.0
    )
    assert len(str(fields.pop("path"))) < 250
    assert fields == {"request_id": "i", "method": "POST", "status": 200, "duration_ms": 0.0}


def test_a_request_s_line_shows_the_way_it_went() -> None:
    fields = request_fields(
        request_id="i",
        method="POST",
        path="/v1/predict",
        status=200,
        client="127.0.0.1",
        trace_id="a" * 32,
        seconds=0.0123456,
        model="m",
        version="2",
        backend="onnx",
        lineage="pytorch",
        rows=3,
        tried=["torchserve", "onnx"],
    )
    assert fields["duration_ms"] == 12.346
    assert fields["trace_id"] == "a" * 32
    assert fields["tried"] == ["torchserve", "onnx"]
    assert (fields["model"], fields["version"], fields["backend"]) == ("m", "2", "onnx")


def test_no_credential_is_logged(mixed_repository: Path) -> None:
    with Gateway(mixed_repository, GATEWAY_ACCESS_LOG="true", GATEWAY_LOG_LEVEL="debug") as gateway:
        headers = {"Authorization": f"Bearer {SECRET}", "X-API-Key": SECRET}
        query = {"backend": "onnx", "api_key": SECRET}
        for path, content in (("/v1/predict", "{}"), ("/v1/nothing", "{"), ("/metrics", "")):
            requests.post(gateway.url + path, content, headers=headers, params=query, timeout=5)
        host, port = gateway.url.removeprefix("http://").split(":")
        # What aiohttp's parser refuses it quotes in its log.
        for header in (f"X-API-Key: {SECRET}\x01", f"X-API-Key: {SECRET}{'x' * 20_000}"):
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(f"POST /v1/predict HTTP/1.1\r\n{header}\r\n\r\n".encode())
                assert b" 400 " in connection.recv(1000)
        gateway.stop()
        assert gateway.process.stderr is not None
        lines = gateway.process.stderr.read().splitlines()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert [entry["status"] for entry in entries if entry["message"] == "request"] == [
        400,
        404,
        405,
    ]
    assert not [line for line in lines if SECRET in line]
