"""Records to OTLP and back: what ``sessiontrace serve`` makes of what our exporter sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from sessiontrace.export.protocol import Batch
from sessiontrace.model.record import Record, Records
from sessiontrace.server.apis.otlp.mapping import Converted, convert
from sessiontrace.store.folding import EventState, SessionState, decode, fold
from sessiontrace.vendors.otlp.exporter import OTLPExporter
from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf
from sessiontrace.wire.received_span import ReceivedSpan

__all__ = ["bodies", "received", "sent", "stored"]


def bodies(records: Sequence[Record], *, protobuf: bool, repeated: bool = False) -> list[bytes]:
    """The bodies of the requests that carry the records.

    ``repeated``: those of an exporter that has templates, because it had such records before.
    """
    exporter = OTLPExporter(protobuf=protobuf)
    batch = Batch(Records.of(records), replay=False)
    for _ in range(2 if repeated else 0):
        for stage in exporter.encode(batch):
            assert all(request.body for request in stage)
    return [bytes(request.body) for stage in exporter.encode(batch) for request in stage]


def received(body: bytes, *, protobuf: bool) -> list[ReceivedSpan]:
    """The spans of a request, as the server reads them."""
    spans, invalid = from_protobuf(body) if protobuf else from_json(orjson.loads(body))
    assert not invalid
    return spans


def sent(records: Sequence[Record], *, protobuf: bool, repeated: bool = False) -> Converted:
    """The records on the other side; all in one request, as a collector may join them."""
    spans = [
        span
        for body in bodies(records, protobuf=protobuf, repeated=repeated)
        for span in received(body, protobuf=protobuf)
    ]
    return convert(spans)


def stored(records: Sequence[Record]) -> dict[str, Any]:
    """What a store has of the records: every row's columns, and the records as JSON, keys sorted.

    JSON, so that 1, 1.0 and true are three values.
    """
    sessions: dict[str, SessionState] = {}
    events: dict[str, EventState] = {}
    for record in records:
        decoded = decode(record)
        assert not isinstance(decoded, str), decoded
        fold(decoded, sessions, events)
    for session in sessions.values():
        session.summarize()
    return {
        **{f"session {key}": _columns(state) for key, state in sessions.items()},
        **{f"event {key}": _columns(state) for key, state in events.items()},
    }


_OTHER_COLUMNS = frozenset({"body", "patch", "touched", "facets"})
"""Those that are compared as JSON; and an index of the session, whose limit depends on the order
of a record's fields."""


def _columns(state: Any) -> dict[str, Any]:
    columns = {
        name: getattr(state, name)
        for name in state.__slots__
        if not name.startswith("_") and name not in _OTHER_COLUMNS
    }
    columns["totals"] = repr(columns.get("totals"))
    for name in ("body", "patch"):
        text = getattr(state, name)
        sorted_keys = orjson.OPT_SORT_KEYS
        columns[name] = text and orjson.dumps(orjson.loads(text), option=sorted_keys).decode()
    return columns
