"""What an exporter remembers of recent sessions beyond a batch: user, service, last-seen time.

Each exporter has its own, used in the sender's thread. Invariant: memory is bounded, and an entry
that is gone makes a mapping poorer, never wrong.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.payload import bucket, milliseconds, v7_ms

__all__ = ["SessionCache"]


class SessionFacts(NamedTuple):
    """One session; ``last_ms``: the time of its last start or end."""

    user: str | None = None
    service: str | None = None
    last_ms: int | None = None


class SessionCache:
    """User, service and time of sessions, learned from their starts and ends.

    Starts precede their events in every spool, so the answer does not depend on where a lane cuts
    its batches.
    """

    _USER = ("user_id", "user", "id", "distinct_id", "email", "name")

    def __init__(self, max_sessions: int = 10_000) -> None:
        self._sessions: LruCache[str, SessionFacts] = LruCache(max_sessions)

    def learn(self, event: dict[str, Any]) -> None:
        """Remember the facts in a session's or turn's start or end."""
        user = self._user(event)
        service = bucket(event, "metadata").get("service")
        before = self._sessions.get(event["session_id"]) or SessionFacts()
        facts = SessionFacts(
            user or before.user,
            service if isinstance(service, str) else before.service,
            milliseconds(event, "end_time") or milliseconds(event, "start_time") or before.last_ms,
        )
        self._sessions.put(event["session_id"], facts)

    def user(self, event: dict[str, Any]) -> str | None:
        """The user's id: the event's own, else its session's."""
        if "user_properties" in event and (own := self._user(event)) is not None:
            return own
        facts = self._sessions.get(event["session_id"])
        return None if facts is None else facts.user

    def service(self, event: dict[str, Any]) -> str | None:
        """The name of the service that recorded the session."""
        facts = self._sessions.get(event["session_id"])
        return None if facts is None else facts.service

    def began(self, event: dict[str, Any]) -> int | None:
        """When it began, in Unix ms: by its times, its id, or the last time of its session.

        Late scores have no time of their own, and an exporter has no clock.
        """
        for name in ("start_time", "end_time"):
            if (moment := milliseconds(event, name)) is not None:
                return moment
        began = v7_ms(event["event_id"])
        if began is None:
            began = (self._sessions.get(event["session_id"]) or SessionFacts()).last_ms
        return v7_ms(event["session_id"]) if began is None else began

    def _user(self, event: dict[str, Any]) -> str | None:
        properties = bucket(event, "user_properties")
        for name in self._USER if properties else ():
            value = properties.get(name)
            if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
                return str(value)
        return None
