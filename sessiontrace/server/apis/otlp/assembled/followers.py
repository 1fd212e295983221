"""What the spans that follow a trace say of the session that they are in, as they come and go.

Pure but for ``split``, which reads the store on the thread that writes. Invariant: a session that
followers have left says what it would say had they never been there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.server.apis.otlp.assembled.parts import Parts, offer_step
from sessiontrace.server.apis.otlp.assembled.trace import OF_TRACE
from sessiontrace.store.gathered import ERROR, NAME, SESSION, SOURCE, USER, first_part
from sessiontrace.store.models import EventQuery
from sessiontrace.store.protocol import Store
from sessiontrace.wire.session_facts import CONVERSATIONS, NAMED_BY

__all__ = ["added", "parts_of_followers", "remade", "split"]

_STEPS_AT_ONCE = 10_000
_OF_STEPS = (NAME, SOURCE, USER)
_EXPLICIT_NAME = f"{NAME} 00 "


def parts_of_followers(parts: Mapping[str, Any]) -> dict[str, Any]:
    """What the followers of a trace say of their session, from what the trace has gathered."""
    return {
        key: value
        for key, value in parts.items()
        if value is not None
        and key.partition(" ")[0] not in (SESSION, ERROR)
        and not key.startswith(OF_TRACE)
    }


def added(before: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What changes in the parts of a session when the followers of a trace come to it."""
    changes: dict[str, Any] = {}
    for key, value in said.items():
        field = key.partition(" ")[0]
        if field in _OF_STEPS:
            first, own = first_part(before, field), first_part(said, field)
            if own is None or own[0] != key or (first is not None and first[0] <= key):
                continue
        if before.get(key) is None:
            changes[key] = value
    return changes


def remade(before: Mapping[str, Any], remaining: Parts, said: Mapping[str, Any]) -> dict[str, Any]:
    """What changes in the parts of a session when the followers of a trace leave it.

    ``remaining``: what its other events say. A name that a span gave in an attribute stays.
    """
    after = remaining.improvements({})
    gone = {
        key: None
        for key, value in before.items()
        if value is not None
        and (key in said or key.partition(" ")[0] in _OF_STEPS)
        and not key.startswith(_EXPLICIT_NAME)
    }
    return {key: value for key, value in (gone | after).items() if before.get(key) != value}


def split(store: Store, session_id: str, trace_id: str) -> tuple[list[str], Parts]:
    """The events of a session that are there because their trace is; what the others say of it."""
    parts = Parts()
    followers: list[str] = []
    for record in store.events(
        EventQuery(session_id=session_id, limit=_STEPS_AT_ONCE, folded=True)
    ).events:
        metadata = record.get("metadata")
        otel = metadata.get("otel") if isinstance(metadata, dict) else None
        if not isinstance(otel, dict):
            continue
        follows = NAMED_BY not in otel or otel[NAMED_BY] in CONVERSATIONS
        if otel.get("trace_id") == trace_id and follows:
            followers.append(record["event_id"])
        else:
            offer_step(parts, record, f"{otel.get('span_id')}{otel.get('trace_id')}")
    return followers, parts
