from collections.abc import Callable, Sequence
from typing import Any

from sessiontrace.wire.encoded._event_span_py import Plan, SessionValues

def event_span(
    body: bytes,
    is_end: bool,
    plans_of: Callable[[bytes], Sequence[Plan | None] | None],
    session_of: Callable[[bytes], SessionValues | None],
) -> tuple[Any, bytes] | None: ...
