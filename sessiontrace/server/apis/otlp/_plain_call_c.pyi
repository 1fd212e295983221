from collections.abc import Mapping

from sessiontrace.server.apis.otlp._plain_call_py import PlaceOf
from sessiontrace.server.apis.otlp.assembled.assembly import Assembly
from sessiontrace.wire.received_span import ReceivedSpan

class PlainCalls:
    def __init__(
        self,
        assembly: Assembly,
        ids: Mapping[tuple[str, str], str],
        now: int,
        place_of: PlaceOf,
    ) -> None: ...
    def add(self, span: ReceivedSpan) -> str | None: ...
    def finish(self) -> None: ...
