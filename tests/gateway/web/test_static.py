"""The static files: who gets them, how they are kept, and that nothing else is read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gateway.api.page import FOLDER
from tests.conftest import Client, MakeClient
from tests.gateway.api.test_guard import write_keys

_VENDOR = "/web/vendor/swagger-ui-5.35.0/swagger-ui-bundle.js"


@pytest.fixture
async def client(make_client: MakeClient, mixed_repository: Path) -> Client:
    return await make_client(mixed_repository)


async def test_pages_are_small_and_strict(client: Client) -> None:
    for path in ("/", "/docs"):
        async with client.get(path) as response:
            content = await response.text()
            assert response.status == 200
            assert response.content_type == "text/html"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            policy = dict(
                part.strip().split(" ", 1)
                for part in response.headers["Content-Security-Policy"].split(";")
            )
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
            assert len(content) < 3_000
            assert "<script>" not in content
            assert "style=" not in content


async def test_every_file_is_given_as_it_is(client: Client) -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        async with client.get(f"/web/{path.relative_to(FOLDER).as_posix()}") as response:
            assert response.status == 200
            assert await response.read() == path.read_bytes()
    async with client.get("/web/js/main.js") as response:
        assert response.content_type == "text/javascript"  # else a browser would not run it


async def test_what_has_not_changed_is_not_sent_again(client: Client) -> None:
    async with client.get("/web/page.css") as response:
        assert response.headers["Cache-Control"] == "no-cache"
        tag = response.headers["ETag"]
    async with client.get("/web/page.css", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")
        assert response.headers["ETag"] == tag
    async with client.get("/web/page.css", headers={"If-None-Match": '"other"'}) as response:
        assert response.status == 200
    async with client.get(_VENDOR) as response:
        assert "immutable" in response.headers["Cache-Control"]


async def test_what_is_large_is_compressed_where_that_is_taken(client: Client) -> None:
    path = FOLDER / _VENDOR.removeprefix("/web/")
    tags = set()
    for accepted in ("identity", "gzip"):
        headers = {"Accept-Encoding": accepted}
        async with client.get(_VENDOR, headers=headers, auto_decompress=False) as response:
            content = await response.read()
            assert response.headers.get("Content-Encoding", "identity") == accepted
            assert response.headers["Vary"] == "Accept-Encoding"
            tags.add(response.headers["ETag"])
        if accepted == "gzip":
            assert len(content) < path.stat().st_size / 3
            content = gzip.decompress(content)
        assert content == path.read_bytes()
    assert len(tags) == 2


@pytest.mark.parametrize(
    "path", ["/web/", "/web/none.js", "/web/../app.py", "/web/%2e%2e/app.py", "/web/js"]
)
async def test_nothing_else_is_read(client: Client, path: str) -> None:
    async with client.get(path) as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"


async def test_a_slash_too_many_leads_on(client: Client) -> None:
    async with client.get("/docs/") as response:
        assert response.url.path == "/docs"
        assert response.content_type == "text/html"


async def test_no_key_is_needed_for_them(
    make_client: MakeClient, mixed_repository: Path, tmp_path: Path
) -> None:
    keys = write_keys(tmp_path / "keys.yaml")
    client = await make_client(mixed_repository, api_keys_file=str(keys))
    for path in ("/", "/docs", "/web/js/main.js", "/web/none.js"):
        async with client.get(path) as response:
            assert response.status == (404 if "none" in path else 200)
    async with client.head("/") as response:
        assert response.status == 200
    async with client.post("/") as response:
        assert response.status == 401
