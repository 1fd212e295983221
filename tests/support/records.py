"""Records as a spool would hand them to a store, for the tests of store, server and page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
from support.patience import patience

from sessiontrace.model.ids import new_id
from sessiontrace.model.record import END, EVENT, OPEN, START, UPDATE, Record, abandoned_end
from sessiontrace.store.sqlite.store import SqliteStore

T = TypeVar("T")

T0 = 1_790_000_000_000


def record(kind: bytes, **body: Any) -> Record:
    """A framed record of the given fields."""
    return Record(kind, b"*", orjson.dumps(body))


def session_start(session_id: str, at: int = T0, **more: Any) -> Record:
    """The start of a session, or, with ``event_id``, of a turn of one."""
    return record(START, **_session(session_id, at, **more))


def session_open(session_id: str, at: int = T0, **more: Any) -> Record:
    """The same start, repeated at the head of a later segment."""
    return record(OPEN, **_session(session_id, at, **more))


def session_end(session_id: str, at: int = T0, took: int = 1000, **more: Any) -> Record:
    """The whole session or turn."""
    body = _session(session_id, at, **more)
    body |= {"end_time": at + took, "duration": float(took)}
    return record(END, **body)


def session_abandoned(start: Record, last: int) -> Record:
    """The end that an adopter gives the session of a dead process."""
    return Record(END, b"*", abandoned_end(start.body, last))


def event(session_id: str, at: int = T0, took: int = 100, **more: Any) -> Record:
    """A finished step directly under the session, unless ``parent_id`` says otherwise."""
    body: dict[str, Any] = {
        "event_id": new_id(),
        "session_id": session_id,
        "parent_id": session_id,
        "event_type": "tool",
        "event_name": "look_up",
        "source": "tests",
        "start_time": at,
        "end_time": at + took,
        "duration": float(took),
        "inputs": {},
    }
    return record(EVENT, **(body | more))


def update(event_id: str, session_id: str, **changes: Any) -> Record:
    """A late score or merge."""
    return record(UPDATE, event_id=event_id, session_id=session_id, **changes)


def id_of(one: Record) -> str:
    """The event id of a record."""
    found: str = orjson.loads(one.body)["event_id"]
    return found


def write(path: Path, *records: Record) -> None:
    """Put records into the store at ``path``."""
    store = SqliteStore(path)
    assert store.write(records) == {}
    store.close()


def make(path: Path) -> None:
    """Make an empty store at ``path``."""
    store = SqliteStore(path)
    store.open()
    store.close()


def eventually(check: Callable[[], T], within: float = 10.0) -> T:
    """What ``check`` gives once it is true; fails when that takes too long."""
    deadline = time.monotonic() + patience(within)
    while not (found := check()):
        assert time.monotonic() < deadline, "did not come to pass in time"
        time.sleep(0.03)
    return found


def _session(session_id: str, at: int, **more: Any) -> dict[str, Any]:
    event_id = more.pop("event_id", session_id)
    body = {
        "event_id": event_id,
        "session_id": session_id,
        "event_type": "session",
        "event_name": "chat",
        "source": "tests",
        "start_time": at,
        "inputs": {},
    }
    return body | more
