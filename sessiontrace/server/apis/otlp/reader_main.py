"""The process that ``reader_process`` starts: reads requests of spans until the server ends.

One thread. Invariant: each body gets one answer, and none that is only rejected ends the process.
"""

from __future__ import annotations

import signal
import socket

from sessiontrace.server.apis.otlp.reader_process import receive, send
from sessiontrace.server.apis.otlp.trace_request import packed
from sessiontrace.server.garbage_collection import tune_garbage_collection

__all__ = ["main"]


def main(descriptor: int) -> None:
    """Answer the server at the other end of this socket."""
    for number in (signal.SIGINT, signal.SIGTERM):  # for the server, which then closes the socket
        signal.signal(number, signal.SIG_IGN)
    tune_garbage_collection()
    with socket.socket(fileno=descriptor) as connection:
        try:
            connection.sendall(b"r")
            while True:
                send(connection, packed(bytes(receive(connection))))
        except ConnectionError:
            return  # the server has ended
