"""What an exporter remembers of recent sessions beyond a batch: user, service, own id, last time.

Each exporter has its own, used in the sender's thread. Invariant: memory is bounded, and an entry
that is gone makes a mapping poorer, never wrong.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sessiontrace.model.ids import PARENT_SPAN_ID
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.payload import bucket, milliseconds, v7_ms

__all__ = ["SessionCache"]


class SessionFacts(NamedTuple):
    """One session.

    ``conversation``: the application's own id of it, None for a session without one. ``last_ms``:
    the time of its last start or end.
    """

    user: str | None = None
    service: str | None = None
    source: str | None = None
    conversation: str | None = None
    last_ms: int | None = None


_UNKNOWN = SessionFacts()


class SessionCache:
    """User, service, own id and time of sessions, learned from their starts and ends.

    Starts precede their events in every spool, so the answer does not depend on where a lane cuts
    its batches.
    """

    _USER = ("user_id", "user", "id", "distinct_id", "email", "name")

    def __init__(self, max_sessions: int = 10_000) -> None:
        self._sessions: LruCache[str, SessionFacts] = LruCache(max_sessions)

    def learn(self, event: dict[str, Any]) -> None:
        """Remember the facts in a session's or turn's start or end."""
        user = self._user(event)
        metadata = bucket(event, "metadata")
        service, source = metadata.get("service"), event.get("source")
        before = self.facts(event["session_id"])
        facts = SessionFacts(
            user or before.user,
            service if isinstance(service, str) else before.service,
            source if isinstance(source, str) else before.source,
            _conversation(event, metadata) or before.conversation,
            milliseconds(event, "end_time") or milliseconds(event, "start_time") or before.last_ms,
        )
        self._sessions.put(event["session_id"], facts)

    def user(self, event: dict[str, Any]) -> str | None:
        """The user's id: the event's own, else its session's."""
        if "user_properties" in event and (own := self._user(event)) is not None:
            return own
        return self.facts(event["session_id"]).user

    def service(self, event: dict[str, Any]) -> str | None:
        """The name of the service that recorded the session."""
        return self.facts(event["session_id"]).service

    def source(self, event: dict[str, Any]) -> str | None:
        """The environment that recorded the session."""
        return self.facts(event["session_id"]).source

    def conversation(self, event: dict[str, Any]) -> str | None:
        """The application's own id of the session; None where it gave none."""
        return self.facts(event["session_id"]).conversation

    def began(self, event: dict[str, Any]) -> int | None:
        """When it began, in Unix ms: by its times, its id, or the last time of its session.

        Late scores have no time of their own, and an exporter has no clock.
        """
        for name in ("start_time", "end_time"):
            if (moment := milliseconds(event, name)) is not None:
                return moment
        began = v7_ms(event["event_id"])
        if began is None:
            began = self.facts(event["session_id"]).last_ms
        return v7_ms(event["session_id"]) if began is None else began

    def facts(self, session_id: str) -> SessionFacts:
        """What is known of a session: the same object until its next start or end."""
        return self._sessions.get(session_id) or _UNKNOWN

    def _user(self, event: dict[str, Any]) -> str | None:
        properties = bucket(event, "user_properties")
        for name in self._USER if properties else ():
            value = properties.get(name)
            if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
                return str(value)
        return None


def _conversation(event: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    """The id that the application gave the session of this turn.

    Other tracers' traces are turns too, of a session that has its id from the trace.
    """
    own = metadata.get("session_id")
    if isinstance(own, str) and own:
        return own
    is_turn = event["event_id"] != event["session_id"]
    return event["session_id"] if is_turn and PARENT_SPAN_ID not in metadata else None
