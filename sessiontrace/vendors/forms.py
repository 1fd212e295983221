"""Forms that several vendors share: decoded records, times, texts, sizes, and what a reply says.

Pure functions, no thread owns them. Invariant: whatever a record's fields hold, these return
something legal or None, and never raise for it.
"""

from __future__ import annotations

import functools
import hashlib
import re
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from sessiontrace.capture.encode import shrink
from sessiontrace.export.verdict import Blocked, Invalid, Reply, Verdict, judge_http
from sessiontrace.record import END, OPEN, START, Record, is_turn, turn_event

__all__ = [
    "Lately",
    "Named",
    "bucket",
    "chunks",
    "decode",
    "is_lower_uuid",
    "json_text",
    "judge",
    "milliseconds",
    "number",
    "printable",
    "rfc3339",
    "seconds",
    "shorten",
    "stable_uuid",
    "text",
    "v7_ms",
]

V = TypeVar("V")

_LATEST_MS = 253_402_300_799_000  # the end of year 9999, the last a timestamp can tell
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EXCERPT = 200
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = uuid.UUID("d3a1a0f7-52f1-5d2f-9c1c-6a4a0a8d7e21")
_PARTS = ("inputs", "outputs", "config", "metadata", "metrics", "feedback", "user_properties")


def decode(record: Record) -> dict[str, Any]:
    """A record's fields; a turn's start or end as the chain event that it stands for."""
    event: dict[str, Any] = orjson.loads(record.body)
    if record.kind in (START, OPEN, END) and is_turn(record.body):
        return turn_event(event)
    return event


# -- single values --------------------------------------------------------------------------


def bucket(event: dict[str, Any], name: str) -> dict[str, Any]:
    """One of the record's objects; empty when absent or no object."""
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """A text for a name or an error: itself, or its JSON."""
    return value if isinstance(value, str) else json_text(value)


def json_text(value: Any) -> str:
    """A value as JSON text."""
    return orjson.dumps(value).decode()


def number(value: Any) -> int | float | None:
    """A number that is one; bools are none."""
    return value if type(value) is int or type(value) is float else None


def milliseconds(event: dict[str, Any], name: str) -> int | None:
    """A time of the record's as integer Unix ms."""
    value = number(event.get(name))
    return int(value) if value is not None and 0 <= value <= _LATEST_MS else None


def seconds(event: dict[str, Any]) -> float | None:
    """How long it took, from the duration or else the times."""
    given = number(event.get("duration"))
    if given is not None and given >= 0:
        return given / 1000
    start, end = milliseconds(event, "start_time"), milliseconds(event, "end_time")
    return None if start is None or end is None else max(0, end - start) / 1000


def rfc3339(ms: int) -> str:
    """Unix ms as ``2026-01-02T03:04:05.678Z``."""
    minute, rest = divmod(ms, 60_000)
    return f"{_minute(minute)}:{rest // 1000:02d}.{rest % 1000:03d}Z"


@functools.lru_cache(maxsize=1024)
def _minute(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).isoformat(timespec="minutes")[:16]


def is_lower_uuid(identifier: str) -> bool:
    """Whether it is a UUID as our own are written."""
    return _UUID.fullmatch(identifier) is not None


def v7_ms(identifier: str) -> int | None:
    """The Unix ms in a UUIDv7; None for any other text."""
    if len(identifier) != 36 or identifier[14] != "7":
        return None
    try:
        found = int(identifier[:8] + identifier[9:13], 16)
    except ValueError:
        return None
    return found if 0 <= found <= _LATEST_MS else None


def stable_uuid(body: bytes, label: str = "") -> str:
    """A UUID for something a record's body implies: the same at every replay."""
    return str(uuid.uuid5(_NAMESPACE, hashlib.sha256(body).hexdigest() + label))


# -- many values ----------------------------------------------------------------------------


def chunks(
    items: Iterable[tuple[int, bytes]], most_items: int, most_bytes: int
) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered encodings in order, in groups within both bounds; one alone may be over."""
    group: list[tuple[int, bytes]] = []
    size = 0
    for item in items:
        if group and (len(group) >= most_items or size + len(item[1]) > most_bytes):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item[1]) + 1
    if group:
        yield group


def shorten(record: Record, most: int) -> Record | None:
    """The record within ``most`` bytes, its largest parts cut with a mark; None if it is already.

    Ids, times, names and ``children_ids`` stay.
    """
    if len(record.body) <= most:
        return None
    event = orjson.loads(record.body)
    sizes = {name: len(orjson.dumps(event[name])) for name in _PARTS if event.get(name)}
    if not sizes:
        return None
    room = max(0, most - (len(record.body) - sum(sizes.values())))
    fair = room // len(sizes)
    spare = room - sum(min(size, fair) for size in sizes.values())
    large = [name for name, size in sizes.items() if size > fair]
    for name in large:
        cut = orjson.loads(shrink(event[name], fair + spare // len(large)))
        event[name] = cut if isinstance(cut, dict) else {"result": cut}
    return record._replace(body=orjson.dumps(event))


class Lately(Generic[V]):
    """What an exporter remembers by key: the last ``most``, so that memory stays bounded."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, V] = OrderedDict()

    def get(self, key: str) -> V | None:
        """What is remembered under ``key``."""
        return self._held.get(key)

    def put(self, key: str, value: V) -> None:
        """Remember, and forget the oldest if need be."""
        self._held[key] = value
        self._held.move_to_end(key)
        if len(self._held) > self._most:
            self._held.popitem(last=False)

    def __contains__(self, key: str) -> bool:
        return key in self._held


class Known(NamedTuple):
    """What is remembered of a session; ``last_ms`` is when it was last heard of."""

    user: str | None = None
    service: str | None = None
    last_ms: int | None = None


class Named:
    """Who a session was for, which service made it and when: told by its start and end.

    Starts come before their events in every spool, so the answer does not hang on how a lane cut
    its batches.
    """

    _USER = ("user_id", "user", "id", "distinct_id", "email", "name")

    def __init__(self, most: int = 10_000) -> None:
        self._known: Lately[Known] = Lately(most)

    def learn(self, event: dict[str, Any]) -> None:
        """Take note of a session's or turn's start or end."""
        user = self._user(event)
        service = bucket(event, "metadata").get("service")
        before = self._known.get(event["session_id"]) or Known()
        known = Known(
            user or before.user,
            service if isinstance(service, str) else before.service,
            milliseconds(event, "end_time") or milliseconds(event, "start_time") or before.last_ms,
        )
        self._known.put(event["session_id"], known)

    def user(self, event: dict[str, Any]) -> str | None:
        """The user's id: the event's own, else its session's."""
        return self._user(event) or (self._known.get(event["session_id"]) or Known()).user

    def service(self, event: dict[str, Any]) -> str | None:
        """The name of the service that recorded the session."""
        return (self._known.get(event["session_id"]) or Known()).service

    def began(self, event: dict[str, Any]) -> int | None:
        """When it began, in Unix ms: as it says, as its id says, or when its session was heard of.

        Late scores have no time of their own, and an exporter has no clock.
        """
        for name in ("start_time", "end_time"):
            if (given := milliseconds(event, name)) is not None:
                return given
        told = v7_ms(event["event_id"])
        if told is None:
            told = (self._known.get(event["session_id"]) or Known()).last_ms
        return v7_ms(event["session_id"]) if told is None else told

    def _user(self, event: dict[str, Any]) -> str | None:
        properties = bucket(event, "user_properties")
        for name in self._USER:
            value = properties.get(name)
            if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
                return str(value)
        return None


# -- replies --------------------------------------------------------------------------------


def judge(reply: Reply) -> Verdict:
    """``judge_http`` with the backend's own words, and no trust in a web page that says 200."""
    if 200 <= reply.status < 300 and "text/html" in reply.headers.get("content-type", ""):
        return Blocked(f"HTTP {reply.status} with a web page: this is not the API; check base_url")
    verdict = judge_http(reply)
    if isinstance(verdict, (Invalid, Blocked)) and (words := _excerpt(reply)):
        return type(verdict)(f"{verdict.reason}: {words}")
    return verdict


def _excerpt(reply: Reply) -> str:
    """The beginning of a body that is no web page."""
    if "text/html" in reply.headers.get("content-type", ""):
        return ""
    return printable(reply.body[: 4 * _EXCERPT].decode(errors="replace"))


def printable(words: str) -> str:
    """What a backend said, cut to 200 characters on one line, fit for a terminal."""
    plain = " ".join(words[: 4 * _EXCERPT].split())
    return "".join(char if char.isprintable() else "?" for char in plain)[:_EXCERPT]
