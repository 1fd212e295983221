"""The page's files, and the addresses where the page opens.

The files are read once, at the start, so no request names a path. The index names each file below a
version made of the content of all: a browser keeps them for good and requests new ones after an
upgrade. The index also names every module, so a browser requests them at once and does not discover
one import after the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from aiohttp import web

from sessiontrace.server.http import Handler

__all__ = ["add_to", "not_found"]

_CONTENT_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_VERSION = "{version:[0-9a-f]{16}}"
_INDEX = "index.html"
_INDEX_BODY = web.AppKey("index", bytes)
_SAFE = frozenset({"GET", "HEAD"})
_MODULES = b"<!-- modules -->"
_ADDRESSES = (
    "/", "/dashboard", "/sessions/{id}", "/users/{user}", "/compare/sets", "/compare/{a}/{b}",
)  # fmt: skip


def add_to(app: web.Application) -> None:
    """Add a route for each file of the page, and one for each address that a reader opens."""
    files = _files()
    version = hashlib.sha256(b"".join(files.values())).hexdigest()[:16]
    app[_INDEX_BODY] = _index(files, version)
    index = _handler(_INDEX, app[_INDEX_BODY], version)
    del files[_INDEX]
    app.add_routes(
        web.get(path, _handler(name, body, version))
        for name, body in files.items()
        for path in (f"/page/{name}", f"/page/{_VERSION}/{name}")
    )
    app.add_routes(web.get(address, index) for address in _ADDRESSES)


def not_found(request: web.Request) -> web.Response | None:
    """The page, which says that this address is none of its own; None for a program's request."""
    if request.method not in _SAFE or "text/html" not in request.headers.get("Accept", ""):
        return None
    return web.Response(
        status=404,
        body=request.app[_INDEX_BODY],
        content_type=_CONTENT_TYPES[".html"],
        charset="utf-8",
        headers={"Cache-Control": "no-cache"},
    )


def _files() -> dict[str, bytes]:
    folder = Path(str(resources.files("sessiontrace.server"))) / "static"
    paths = sorted(path for path in folder.rglob("*") if path.suffix in _CONTENT_TYPES)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _index(files: Mapping[str, bytes], version: str) -> bytes:
    links = "\n".join(
        f'<link rel="modulepreload" href="/page/{name}">' for name in files if name.endswith(".js")
    )
    body = files[_INDEX].replace(_MODULES, links.encode())
    return body.replace(b'"/page/', f'"/page/{version}/'.encode())


def _handler(name: str, body: bytes, version: str) -> Handler:
    kind = _CONTENT_TYPES[Path(name).suffix]

    async def answer(request: web.Request) -> web.Response:
        # Another version: a page that was opened before the server was replaced.
        is_lasting = request.match_info.get("version") == version
        lasting = "public, max-age=31536000, immutable" if is_lasting else "no-cache"
        return web.Response(
            body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": lasting}
        )

    return answer
