"""The process that ``reader_process`` starts: reads requests of spans until the server ends.

One thread. Invariant: each body gets one answer, and none that is only rejected ends the process.
"""

from __future__ import annotations

import gc
import signal
import socket

from sessiontrace.server.apis.otlp.reader_process import SIZE_BYTES
from sessiontrace.server.apis.otlp.trace_request import packed

__all__ = ["main"]

_YOUNG_OBJECTS = 100_000


def main(descriptor: int) -> None:
    """Answer the server at the other end of this socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the server, too
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
    with socket.socket(fileno=descriptor) as connection:
        connection.sendall(b"r")
        while body := _receive(connection):
            answer = packed(body)
            connection.sendall(len(answer).to_bytes(SIZE_BYTES, "big"))
            connection.sendall(answer)


def _receive(connection: socket.socket) -> bytes:
    """The next body; empty where the server has ended."""
    head = connection.recv(SIZE_BYTES, socket.MSG_WAITALL)
    size = int.from_bytes(head, "big")
    body = connection.recv(size, socket.MSG_WAITALL) if len(head) == SIZE_BYTES else b""
    return body if len(body) == size else b""
