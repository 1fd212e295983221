"""The bytes of a record: encoded, masked where that is needed, and bounded.

Runs in the user's thread, once for every record. Every record is made in two steps: spans and
sessions encode theirs with ``encode_event``, updates with ``assemble``; then ``redact_and_bound``.
``encode_event`` has two forms: ``_record_body_c``, compiled when the package is installed and a C
compiler is there, and ``_record_body_py``, which is the specification. Invariant: a record is one
JSON object of at most ``EVENT_MAX`` bytes that opens with its two ids; its ids, times and type are
all that ``redact`` does not see.
"""

from __future__ import annotations

from typing import Protocol

import orjson

from sessiontrace.capture.encoding._record_body_py import assemble
from sessiontrace.capture.encoding.truncate import truncate_largest
from sessiontrace.capture.redaction.clean_text_cache import CleanTextCache

try:
    from sessiontrace.capture.encoding._record_body_c import encode_event
except ImportError as _error:
    from sessiontrace.runtime import compiled_forms

    compiled_forms.note(_error)
    from sessiontrace.capture.encoding._record_body_py import encode_event

    COMPILED = False
    """Whether the compiled form is in use."""
else:
    COMPILED = True

__all__ = ["COMPILED", "EVENT_MAX", "Redact", "assemble", "encode_event", "redact_and_bound"]

EVENT_MAX = 512 * 1024
"""Most bytes of one encoded record; in a larger one the largest parts are cut, with a mark."""

_FIRST = b',"event_name":'  # of the fields that users gave
_UPDATE_AT = 102  # an update has nothing but its two ids before what users gave

_dumps = orjson.dumps
_Fragment = orjson.Fragment


class Redact(Protocol):
    """What masks secrets in an encoded object of parts."""

    @property
    def clean_texts(self) -> CleanTextCache:
        """The texts that it leaves as they are."""
        ...

    def __call__(self, parts: bytes) -> bytes:
        """The same object, masked."""
        ...


def redact_and_bound(
    encoded: bytes, redact: Redact | None, needs_redaction: bool, *, is_update: bool = False
) -> bytes:
    """The record masked if it needs that, and cut to ``EVENT_MAX`` bytes if it is larger."""
    if needs_redaction and redact is not None:
        at = _UPDATE_AT if is_update else encoded.index(_FIRST, _UPDATE_AT)
        encoded = encoded[: at + 1] + redact(b"{" + encoded[at + 1 :])[1:]
    return encoded if len(encoded) <= EVENT_MAX else _truncated(encoded)


def _truncated(encoded: bytes) -> bytes:
    """A record over ``EVENT_MAX`` with its largest parts cut to an equal share of the room."""
    body = orjson.loads(encoded)
    sizes = {name: len(_dumps(value)) for name, value in body.items() if isinstance(value, dict)}
    room = EVENT_MAX - (len(encoded) - sum(sizes.values()))
    for name, shorter in truncate_largest(body, sizes, room).items():
        body[name] = _Fragment(shorter)
    return _dumps(body)
