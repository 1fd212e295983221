"""A server as a user starts it: its own process, its own port, stopped at the end."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from support.patience import patience
from support.subprocesses import environment


@attrs.frozen
class Served:
    """A running server, and plain requests to it."""

    process: subprocess.Popen[str]
    port: int
    grpc_port: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers by lower-case name, body. ``sec_fetch_site=`` becomes Sec-Fetch-Site."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience(30))
        try:
            connection.putrequest(
                method, path, skip_host="Host" in names, skip_accept_encoding=True
            )
            for name, value in names.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            reply = connection.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        """The decoded body of a GET that must succeed."""
        status, _, body = self.request(path)
        assert status == 200, body
        return json.loads(body)


@contextmanager
def serving(db: Path, *options: str, store: str | None = None, **env: str) -> Iterator[Served]:
    """``sessiontrace serve --db DB`` until the block ends; it must then stop by itself.

    ``store``: a URL to serve instead; ``db`` still says where the process is at home. ``env``:
    further variables of its environment.
    """
    place = ["--db", str(db)] if store is None else ["--store", store]
    process = subprocess.Popen(
        [sys.executable, "-m", "sessiontrace", "serve", *place, "--port", "0", *options],
        env=environment(db.parent, **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    match = re.search(r"http://[^/]+:(\d+)/(?:, OTLP over gRPC on port (\d+))?", line)
    try:
        assert match, line + (process.stderr.read() if process.stderr else "")
        yield Served(process, int(match[1]), int(match[2]) if match[2] else None)
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=patience(30))
    assert (process.returncode, out, err) == (0, "", ""), f"{process.returncode}: {out}{err}"
