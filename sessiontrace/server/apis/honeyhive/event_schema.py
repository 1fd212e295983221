"""HoneyHive's schema of a project's events: which fields there are, by type of event.

Pure functions, no thread owns them. Invariant: a schema names at most 1000 fields, each once.

Source: ``GetEventsSchemaResponse`` of the data-plane OpenAPI document 1.9.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from sessiontrace.model.fields import BUCKETS
from sessiontrace.model.step_types import base_type
from sessiontrace.server import record_builder
from sessiontrace.server.http import RequestRejected
from sessiontrace.store.models import EventQuery

__all__ = ["schema_of", "schema_query"]

_FIELDS_MOST = 1000
_EVENTS_MOST = 7500  # as many as one export
_DEPTH = 3  # names of objects within objects


def schema_query(parameters: Mapping[str, str]) -> EventQuery:
    """The events that a request asks about, from its query; ``RequestRejected`` for bad bounds.

    ``dateRange``: JSON with ``$gte`` and ``$lte``, or the two as ``dateRange[$gte]``; ISO 8601
    texts or Unix ms. ``evaluation_id``: the events of one run.
    """
    since, until = (_bound(parameters, name) for name in ("$gte", "$lte"))
    run = parameters.get("evaluation_id")
    return EventQuery(
        since=since,
        until=None if until is None else until + 1,
        fits=None if not run else lambda event: _run_of(event) == run,
        limit=_EVENTS_MOST,
    )


def schema_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A GetEventsSchemaResponse for these events; the local store has no mappings."""
    fields: dict[tuple[str, str], None] = {}
    datasets: dict[str, None] = {}
    for event in events:
        kind = str(base_type(event.get("event_type")) or "chain")
        metadata = event.get("metadata")
        dataset = metadata.get("dataset_id") if isinstance(metadata, dict) else None
        if isinstance(dataset, str):
            datasets[dataset] = None
        for bucket in BUCKETS:
            for name in _names(bucket, event.get(bucket), _DEPTH):
                if len(fields) < _FIELDS_MOST:
                    fields[name, kind] = None
    return {
        "fields": [{"name": name, "event_type": kind} for name, kind in sorted(fields)],
        "datasets": sorted(datasets),
        "mappings": {},
    }


def _names(path: str, value: Any, depth: int) -> Iterator[str]:
    """The dotted names of the values within a bucket; a list is one value."""
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        if isinstance(item, dict) and item and depth > 1:
            yield from _names(f"{path}.{name}", item, depth - 1)
        else:
            yield f"{path}.{name}"


def _run_of(event: Mapping[str, Any]) -> Any:
    metadata = event.get("metadata")
    return metadata.get("run_id") if isinstance(metadata, dict) else None


def _bound(parameters: Mapping[str, str], name: str) -> int | None:
    value: Any = parameters.get(f"dateRange[{name}]")
    text = parameters.get("dateRange")
    if value is None and text:
        try:
            span = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise RequestRejected(400, "dateRange must be JSON with $gte and $lte") from None
        value = span.get(name) if isinstance(span, dict) else None
    if value is None:
        return None
    moment = record_builder.moment(value)
    if moment is None:
        try:
            moment = float(value)
        except (TypeError, ValueError):
            raise RequestRejected(400, f"dateRange: {name} must be a time") from None
    if not abs(moment) < 1 << 53:
        raise RequestRejected(400, f"dateRange: {name} must be a time")
    return int(moment)
