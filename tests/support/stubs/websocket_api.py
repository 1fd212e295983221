"""A local websocket server: it answers each message with those that a script gives for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CLOSE", "answering"]

CLOSE = {"type": "close the connection"}
"""An answer that closes the connection with an error."""

Script = Callable[[dict[str, Any]], Iterable[dict[str, Any]]]


@contextmanager
def answering(script: Script, *greeting: dict[str, Any]) -> Iterator[str]:
    """The URL of a server that sends ``greeting``, then ``script(message)`` for each message."""
    from websockets.sync.server import ServerConnection, serve

    def handle(connection: ServerConnection) -> None:
        for event in greeting:
            connection.send(json.dumps(event))
        for message in connection:
            for event in script(json.loads(message)):
                if event is CLOSE:
                    connection.close(1011, "broken")
                    return
                connection.send(json.dumps(event))

    server = serve(handle, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, name="stub-websocket", daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        thread.join(10)
