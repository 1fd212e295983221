"""What exporters remember beyond a batch: by key, and of sessions who they were for and when.

Each exporter has its own, used in the sender's thread. Invariant: memory stays bounded, and what is
forgotten makes a mapping poorer, never wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, NamedTuple, TypeVar

from sessiontrace.vendors.shared.payload import bucket, milliseconds, v7_ms

__all__ = ["LruCache", "SessionCache"]

V = TypeVar("V")


class LruCache(Generic[V]):
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


class SessionCache:
    """Who a session was for, which service made it and when: told by its start and end.

    Starts come before their events in every spool, so the answer does not hang on how a lane cut
    its batches.
    """

    _USER = ("user_id", "user", "id", "distinct_id", "email", "name")

    def __init__(self, most: int = 10_000) -> None:
        self._known: LruCache[Known] = LruCache(most)

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
        if "user_properties" in event and (own := self._user(event)) is not None:
            return own
        known = self._known.get(event["session_id"])
        return None if known is None else known.user

    def service(self, event: dict[str, Any]) -> str | None:
        """The name of the service that recorded the session."""
        known = self._known.get(event["session_id"])
        return None if known is None else known.service

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
        for name in self._USER if properties else ():
            value = properties.get(name)
            if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
                return str(value)
        return None
