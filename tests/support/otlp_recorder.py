"""Requests of an OTLP exporter, recorded on their way to a server and replayed later."""

from __future__ import annotations

import base64
import gzip
import http.server
import json
import platform
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from support.server_process import Served

__all__ = ["Recorder", "Request", "load", "recording", "save"]


@attrs.frozen
class Request:
    """One request: its path, the content type and the body, not compressed."""

    path: str
    content_type: str
    body: bytes


@attrs.define
class Recorder:
    """What was recorded; ``url`` is where the exporter sends, ``statuses`` what it was answered."""

    url: str
    requests: list[Request] = attrs.field(factory=list)
    statuses: list[int] = attrs.field(factory=list)


@contextmanager
def recording(served: Served) -> Iterator[Recorder]:
    """Pass all requests on to ``served`` and record them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = _body(self)
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            content_type = self.headers.get("Content-Type") or ""
            recorder.requests.append(Request(self.path, content_type, body))
            status, headers, reply = served.request(
                self.path, "POST", body, Content_Type=content_type
            )
            recorder.statuses.append(status)
            self._answer(status, headers.get("content-type", ""), reply)

        def do_GET(self) -> None:
            self._answer(200, "application/json", b"{}")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is written to stderr."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder = Recorder(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _body(handler: http.server.BaseHTTPRequestHandler) -> bytes:
    if (length := handler.headers.get("Content-Length")) is not None:
        return handler.rfile.read(int(length))
    body = b""
    while size := int(handler.rfile.readline().strip() or b"0", 16):  # Node sends in chunks
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def save(path: Path, requests: list[Request]) -> None:
    """Write a recording: JSON, the bodies compressed, without what names this machine."""
    entries = [
        {
            "path": request.path,
            "content_type": request.content_type,
            "body": base64.b64encode(zlib.compress(_anonymous(request.body), 9)).decode(),
        }
        for request in requests
    ]
    path.write_text(json.dumps(entries, indent=1) + "\n")


def _anonymous(body: bytes) -> bytes:
    """The body with the machine's paths and ids replaced, each by as many bytes."""
    machine = Path("/etc/machine-id")
    own = [
        str(Path(__file__).resolve().parent.parent.parent),
        str(Path.home()),
        platform.release(),
        machine.read_text().strip() if machine.exists() else "",
    ]
    for text in filter(None, own):
        body = body.replace(text.encode(), (b"/" if text[0] == "/" else b"").ljust(len(text), b"0"))
    return body


def load(path: Path) -> list[Request]:
    """Read a recording."""
    return [
        Request(
            entry["path"], entry["content_type"], zlib.decompress(base64.b64decode(entry["body"]))
        )
        for entry in json.loads(path.read_text())
    ]
