"""Identifiers and clocks: UUIDv7 strings, and Unix time by the monotonic clock.

The *offset* is the wall clock less the monotonic clock, in nanoseconds. It is measured again when
the wall clock has stepped. A handle keeps the offset of its start, so it ends by the clock that it
began by, whatever happened in between. Called from any thread, takes no lock. Invariants: two ids
are never equal, across threads, forks and copies of a snapshot: 48 of their bits come from the
system's random numbers within the last second. A new time is right within 50 ms, and durations are
monotonic.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator

from sessiontrace.runtime import fork_hooks

__all__ = [
    "PARENT_SPAN_ID",
    "SESSION_NAMESPACE",
    "SPAN_ID",
    "TRACE_ID",
    "checked_now",
    "is_uuid",
    "new_id",
    "now_by",
    "now_ns",
    "pin",
    "session_uuid",
    "stamp",
]

SESSION_NAMESPACE = uuid.UUID("5b0d4c5e-3f0b-5c86-9a53-2f6f7c1d9e10")
"""Fixed namespace of the uuid5 of a caller's session id that is not a UUID."""

TRACE_ID = "otel.trace_id"
"""The entry of a record's metadata that has its W3C trace, where that is not its session's id."""

SPAN_ID = "otel.span_id"
"""The entry of an event's metadata that has its W3C span id, where that is not its own id's."""

PARENT_SPAN_ID = "otel.parent_span_id"
"""The entry of the metadata of a session that continues another tracer's trace: its span there."""

_BATCH = 256  # ids for which is drawn at once, and numbers of the counter
_SMALL_BATCH = 16  # where the last batch was not used up in time
_NEVER = -1_000_000
_FRESH_MS = 1_000  # for so long random bits are used after they were drawn
_step_ns = 50_000_000  # between our clock and the wall clock: then the wall clock has stepped
_READ_NS = 1_000_000  # that reading both clocks may take to count
_MS_NS = 1_000_000

_random = random.Random()  # noqa: S311  ids must be unique, not secret
_time_ns = time.time_ns
_monotonic_ns = time.monotonic_ns

_offset_ns = 0

# What an id is put together from: to format its 128 bits each time costs twice all the rest.
_prefix_ms = -1
_prefix = ""
_prefix_end_ns = 0  # when the prefix is out of date, by our clock
_drawn_ms = 0
_seeded_ms = _NEVER
_middles: tuple[str, ...] = ()  # by the counter: itself, the variant, 14 random bits
_next_middles: Iterator[str] = iter(())
_tails: list[str] = []  # 48 random bits each


def now_ns() -> int:
    """Unix time in nanoseconds, by the monotonic clock."""
    return _monotonic_ns() + _offset_ns


def now_by(offset_ns: int) -> int:
    """Unix time in nanoseconds, by the clock of a start that has this offset.

    A step of the wall clock since then therefore changes no duration.
    """
    return _monotonic_ns() + offset_ns


def checked_now() -> tuple[int, int]:
    """``now_ns`` and its offset, after a look at the wall clock.

    The wall clock steps at resume, after a snapshot, by NTP.
    """
    offset = _offset_ns
    now = _monotonic_ns() + offset
    if not -_step_ns < _time_ns() - now < _step_ns:
        _follow_step()
        offset = _offset_ns
        now = _monotonic_ns() + offset
    return now, offset


def stamp() -> tuple[int, int, str]:
    """This moment (as ``now_ns`` gives it), its offset, and a new id that begins with it."""
    offset = _offset_ns
    now = _monotonic_ns() + offset
    if now >= _prefix_end_ns:
        now, offset = _begin_now(now, offset)
    # Other threads may be here, too: the random bits keep ids apart, not the counter.
    try:
        return now, offset, f"{_prefix}{next(_next_middles)}{_tails.pop()}"
    except (StopIteration, IndexError):
        return now, offset, _drawn_id()


def _begin_now(now: int, offset: int) -> tuple[int, int]:
    """``stamp`` in a new millisecond: the wall clock is looked at, and random bits grow old."""
    if not -_step_ns < _time_ns() - now < _step_ns:
        now, offset = checked_now()
    ms = now // _MS_NS
    if ms - _drawn_ms > _FRESH_MS:
        _tails.clear()
    _begin_ms(ms)
    return now, offset


def _begin_ms(ms: int) -> None:
    """The ids that follow are of this millisecond."""
    global _prefix_ms, _prefix, _prefix_end_ns, _next_middles
    text = f"{ms:012x}"
    _prefix = f"{text[:8]}-{text[8:]}-7"
    _prefix_ms = ms
    _next_middles = iter(_middles)
    _prefix_end_ns = (ms + 1) * _MS_NS


def _drawn_id() -> str:
    """An id of the present prefix where the counter was at its end, or no random bits were left."""
    global _next_middles
    middle = next(_next_middles, None)
    if middle is None:
        _next_middles = iter(_middles)
        middle = _middles[0]
    try:
        tail = _tails.pop()
    except IndexError:
        tail = _draw()
    return f"{_prefix}{middle}{tail}"


def _follow_step() -> None:
    """Measure the offset anew, when the wall clock has really stepped.

    What was drawn is forgotten: after a snapshot, another copy of this process has it too.
    """
    global _offset_ns
    for _ in range(5):
        before, wall, after = _monotonic_ns(), _time_ns(), _monotonic_ns()
        if after - before < _READ_NS:  # else this thread was not running in between
            break
    if not -_step_ns < wall - before - _offset_ns < _step_ns:
        _offset_ns = wall - before
        _restart()


def _draw() -> str:
    """Random bits for one id, and in store for more.

    The generator is seeded anew every second of use: two copies of a snapshot would go on alike.
    """
    global _drawn_ms, _seeded_ms
    ms = now_ns() // _MS_NS
    if ms - _drawn_ms > _FRESH_MS:  # ids are rare: seeding costs more than these few
        drawn = os.urandom(6 * _SMALL_BATCH)
    else:
        if ms - _seeded_ms > _FRESH_MS:
            _random.seed(
                int.from_bytes(os.urandom(32), "big")
            )  # of bytes, it would import a module
            _seeded_ms = ms
        drawn = _random.getrandbits(48 * _BATCH).to_bytes(6 * _BATCH, "big")
    _drawn_ms = ms
    tails = drawn.hex("-", 6).split("-")
    tail = tails.pop()
    _tails.extend(tails)
    return tail


def new_id(at_ns: int | None = None) -> str:
    """A new UUIDv7: 48 bits Unix ms, 12 bits counting within the ms, 62 random bits
    (14 of them drawn once for each number of the counter).

    >>> new_id()  # doctest: +SKIP
    '019aa3c1-8a5e-7000-9d2c-6f1b8f0e5a11'
    """
    global _prefix_end_ns
    if at_ns is None:
        return stamp()[2]
    if at_ns // _MS_NS != _prefix_ms:
        _begin_ms(at_ns // _MS_NS)
    _prefix_end_ns = 0  # the prefix of the present is made anew
    return _drawn_id()


def is_uuid(text: str) -> bool:
    """Whether ``text`` is a UUID in its usual form (36 characters, with hyphens)."""
    if len(text) != 36:
        return False
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def session_uuid(text: str) -> str:
    """The UUID for a caller's session id: itself when it is one, else a stable uuid5 of it."""
    return text.lower() if is_uuid(text) else str(uuid.uuid5(SESSION_NAMESPACE, text))


def _restart(*, drawn: bool = True) -> None:
    """Forget what was drawn; the middles' random bits are 0 unless they are ``drawn`` anew."""
    global _prefix_ms, _prefix_end_ns, _seeded_ms, _middles, _next_middles
    _prefix_ms, _prefix_end_ns = -1, 0
    _seeded_ms = _NEVER
    _tails.clear()
    bits = os.urandom(2 * _BATCH) if drawn else bytes(2 * _BATCH)
    variants = [0x80 | (high & 0x3F) for high in bits[:_BATCH]]
    _middles = tuple(
        f"{number:03x}-{variant:02x}{low:02x}-"
        for number, (variant, low) in enumerate(zip(variants, bits[_BATCH:], strict=True))
    )
    _next_middles = iter(_middles)


_offset_ns = _time_ns() - _monotonic_ns()
_restart()
fork_hooks.IDS.register(in_child=_restart)


def pin(monotonic_ns: Callable[[], int], draw: Callable[[], str]) -> Callable[[], None]:
    """Make clock and ids repeatable, for tests; returns what undoes it.

    ``monotonic_ns`` then gives Unix nanoseconds, ``draw`` the last 12 digits of an id.
    """
    global _offset_ns, _monotonic_ns, _step_ns, _draw
    before = (_offset_ns, _monotonic_ns, _step_ns, _draw)

    def undo() -> None:
        global _offset_ns, _monotonic_ns, _step_ns, _draw
        _offset_ns, _monotonic_ns, _step_ns, _draw = before
        _restart()

    _offset_ns = 0
    _monotonic_ns, _draw = monotonic_ns, draw
    _step_ns = 1 << 63
    _restart(drawn=False)
    return undo
