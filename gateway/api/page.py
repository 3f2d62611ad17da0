"""``/``, ``/docs`` and what they load: the static files of ``gateway/web``.

They hold nothing secret, so they are given to everyone; what they show they ask of the doors, with
the API key of whoever looks at them.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from aiohttp import web

from gateway.errors import NotFound

#: The doors: each page, and whatever else lies in the folder.
PAGES = {"/": "index.html", "/docs": "docs.html"}
#: What people type for one of them; what it loads lies beside it, not below.
_MEANT = "/docs/"
FILES = "/web/{path:.+}"
#: All of them, as routes' patterns are written elsewhere.
DOORS = frozenset({*PAGES, _MEANT, "/web/{path}"})

FOLDER = Path(__file__).parent.parent / "web"
_TEXT = "text/plain; charset=utf-8"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: What is not worth compressing, in bytes.
_SMALL = 1024
#: Browsers ask each time whether a file has changed, but for those with a version in their path.
_FRESH, _FOREVER = "no-cache", "public, max-age=31536000, immutable"
#: Scripts, styles and requests only from here; nobody may frame a page, for clicks on it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}


class File:
    """One file, read when the first asks for it."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        kept = _FOREVER if name.startswith("vendor/") else _FRESH
        self._headers = _HEADERS | {
            "Content-Type": _KINDS.get(path.suffix, _TEXT),
            "Cache-Control": kept,
        }
        self._content: bytes | None = None
        self._compressed = b""
        self._tag = ""

    async def answer(self, headers: Mapping[str, str]) -> web.Response:
        """The file, compressed where the client takes that, or 304 where it has it already."""
        if self._content is None:
            await asyncio.to_thread(self._read)
        content, tag = self._content or b"", f'"{self._tag}"'
        headers_out = dict(self._headers)
        if self._compressed and "gzip" in headers.get("Accept-Encoding", ""):
            content, tag = self._compressed, f'"{self._tag}-gzip"'
            headers_out["Content-Encoding"] = "gzip"
        headers_out["ETag"] = tag
        if tag in headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers_out)
        return web.Response(body=content, headers=headers_out)

    def _read(self) -> None:
        content = self._path.read_bytes()
        self._tag = sha256(content).hexdigest()[:20]
        if len(content) > _SMALL:
            self._compressed = gzip.compress(content, 6, mtime=0)
        self._content = content


class Folder:
    """The files there were when it was made: nothing else is ever read, whatever is asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        names = {path: path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))}
        self._files = {name: File(path, name) for path, name in names.items() if path.is_file()}

    def get(self, name: str) -> File:
        """A file by its path within the folder; raises :class:`NotFound`."""
        if name not in self._files:
            raise NotFound("file", name, sorted(self._files))
        return self._files[name]


#: Where an application keeps it.
WEB = web.AppKey("web", Folder)


async def page(request: web.Request) -> web.Response:
    """One of the pages."""
    return await request.app[WEB].get(PAGES[request.path]).answer(request.headers)


async def meant(request: web.Request) -> web.Response:
    """Sends on to ``/docs``, also below another path."""
    return web.Response(status=308, headers={"Location": "../docs"})


async def file(request: web.Request) -> web.Response:
    """What the pages load."""
    return await request.app[WEB].get(request.match_info["path"]).answer(request.headers)


def routes() -> list[web.RouteDef]:
    """The routes of all this."""
    pages = [web.get(path, page) for path in PAGES]
    return [*pages, web.get(_MEANT, meant), web.get(FILES, file)]
