from typing import Any

from sessiontrace.capture.harmless import Harmless

def look(value: object, room: int, depth: int, harmless: Harmless) -> int: ...
def quick(value: object, harmless: Harmless) -> bytes | None: ...
def step(
    event_id: str,
    session_id: str,
    parent_id: str,
    event_type: str,
    source: str,
    start: int,
    end: int,
    name: str,
    parts: dict[str, Any] | None,
    children: list[str] | None,
    inputs: bytes | None,
    outputs: bytes | None,
) -> bytes: ...
def suspicious(text: str) -> bool: ...
