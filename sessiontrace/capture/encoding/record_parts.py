"""A record's way from a dict to bytes: redaction of what users gave, and size; pure.

Runs in the user's thread. Invariant: ``compose_record`` returns at most ``EVENT_MAX`` bytes of one
JSON object that opens with the two ids, and nothing in it but ids, times and type escaped
``redact``.
"""

from __future__ import annotations

from typing import Any, Protocol

import orjson

from sessiontrace.capture.encoding.record_body import assemble
from sessiontrace.capture.encoding.truncate import truncate_largest
from sessiontrace.capture.redaction.clean_text_cache import CleanTextCache

__all__ = ["EVENT_MAX", "Redact", "compose_record", "redact_and_bound"]

EVENT_MAX = 512 * 1024
"""Most bytes of one encoded record; over it the largest parts are cut, with a mark."""

_FIRST = b',"event_name":'
_UPDATE_AT = 102  # an update has nothing but its two ids before what users gave

_dumps = orjson.dumps
_Fragment = orjson.Fragment


class Redact(Protocol):
    """What masks secrets in an encoded object of parts."""

    @property
    def harmless(self) -> CleanTextCache:
        """The texts that it leaves as they are."""
        ...

    def __call__(self, parts: bytes) -> bytes:
        """The same object, masked."""
        ...


def compose_record(
    body: dict[str, Any],
    inputs: bytes | None,
    outputs: bytes | None,
    redact: Redact | None,
    doubtful: bool,
) -> bytes:
    """A record's bytes: ids and times first, then from ``event_name`` on all that users gave.

    The encoded ``inputs`` and ``outputs`` come last. ``doubtful``: a text or a key in there may
    have to be masked.
    """
    encoded = assemble(body, inputs, outputs)
    return redact_and_bound(encoded, redact, doubtful, named="event_name" in body)


def redact_and_bound(
    encoded: bytes, redact: Redact | None, doubtful: bool, *, named: bool = True
) -> bytes:
    """A record masked where it has to be, and within ``EVENT_MAX``. ``named``: it is no update."""
    if doubtful and redact is not None:
        at = encoded.index(_FIRST, _UPDATE_AT) if named else _UPDATE_AT
        encoded = encoded[: at + 1] + redact(b"{" + encoded[at + 1 :])[1:]
    return encoded if len(encoded) <= EVENT_MAX else _within(encoded)


def _within(encoded: bytes) -> bytes:
    """A record over ``EVENT_MAX`` with its largest parts cut to an equal share of the room."""
    body = orjson.loads(encoded)
    sizes = {name: len(_dumps(value)) for name, value in body.items() if isinstance(value, dict)}
    room = EVENT_MAX - (len(encoded) - sum(sizes.values()))
    for name, shorter in truncate_largest(body, sizes, room).items():
        body[name] = _Fragment(shorter)
    return _dumps(body)
