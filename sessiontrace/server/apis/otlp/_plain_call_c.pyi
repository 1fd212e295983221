from collections.abc import Callable, Iterable

from sessiontrace.server.apis.otlp._plain_call_py import Ids, PlaceOf
from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.wire.received_span import ReceivedSpan

def identify(
    spans: Iterable[ReceivedSpan], prepare: Callable[[ReceivedSpan], str | None]
) -> tuple[list[ReceivedSpan], Ids]: ...

class PlainCalls:
    def __init__(
        self,
        assembly: Assembly,
        ids: Ids,
        now: int,
        place_of: PlaceOf,
    ) -> None: ...
    def add(self, span: ReceivedSpan) -> str | None: ...
    def finish(self) -> None: ...
