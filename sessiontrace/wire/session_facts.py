"""What a span says about its session: its id, its name and its user.

Pure functions over the attributes of a span in conventional names, no thread owns them. Invariant:
the most explicit name of an id wins, whichever order the attributes come in.
"""

from __future__ import annotations

from typing import NamedTuple

from sessiontrace.model.ids import is_uuid
from sessiontrace.wire.received_span import Attributes
from sessiontrace.wire.span_attributes import SESSION

__all__ = [
    "CONVERSATIONS",
    "NAMED_BY",
    "SESSION_KEYS",
    "USER_KEYS",
    "SessionFacts",
    "session_claim",
    "session_facts",
    "session_name",
    "session_reference",
]

SESSION_KEYS = (
    "honeyhive.session_id",
    "traceloop.association.properties.session_id",
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.session.id",
    "conversation.id",  # Codex CLI's
)
"""The names of a session's id, the most explicit first."""

CONVERSATIONS = frozenset({"gen_ai.conversation.id", "conversation.id"})
"""Those that hold for a whole trace: an agent's own agents have conversations of their own."""

NAMED_BY = "session_from"
"""In ``metadata.otel``: the attribute by which a span names its session."""

USER_KEYS = ("user.id", "enduser.id", "gen_ai.user", "gen_ai.request.user", "posthog.distinct_id")
_NAMES_NO_SESSION = frozenset({SESSION, *SESSION_KEYS}).isdisjoint
_NAMES = ("honeyhive.session_name", "session.name")


class SessionFacts(NamedTuple):
    """What a span says about its session; None where it does not say it.

    ``reference``: the application's own id. ``name``: what the producer calls the trace.
    """

    reference: str | None
    name: str | None
    user: str | None


def session_facts(attributes: Attributes, resource: Attributes) -> SessionFacts:
    """The facts in a span's attributes, then in its resource's."""
    return SessionFacts(
        session_reference(attributes, resource),
        session_name(attributes),
        _text(USER_KEYS, attributes, resource),
    )


def session_name(attributes: Attributes) -> str | None:
    """What the producer calls the trace or the session."""
    return _text(_NAMES, attributes)


def session_reference(*attributes: Attributes) -> str | None:
    """The id that a span gives its session, the most explicit first; None: it names none."""
    claim = session_claim(*attributes)
    return None if claim is None else claim[2]


def session_claim(*attributes: Attributes) -> tuple[int, str, str] | None:
    """Rank and name of the attribute that names a span's session, and the id; None without any.

    The lower the rank, the more explicit the attribute.
    """
    if all(map(_NAMES_NO_SESSION, attributes)):  # as most spans do
        return None
    for group in attributes:
        if SESSION in group and isinstance(own := group[SESSION], str) and is_uuid(own):
            return 0, SESSION, own
    for rank, name in enumerate(SESSION_KEYS, 1):
        for group in attributes:
            if name in group and isinstance(value := group[name], str):
                if value:
                    return rank, name, value
                break
    return None


def _text(names: tuple[str, ...], *groups: Attributes) -> str | None:
    """The first of these attributes that is a text and not empty."""
    for group in groups:
        for name in names:
            if name in group and isinstance(value := group[name], str) and value:
                return value
    return None
