"""Identifiers and clocks: UUIDv7 strings, and the wall clock's anchor of the monotonic clock.

Called from any thread, takes no lock. Invariants: two ids are never
equal, across threads, forks and copies of a snapshot: 48 of their bits come from the system's
random numbers within the last second. A time is right within 50 ms, and durations are monotonic.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable

from sessiontrace.runtime import fork_hooks

__all__ = [
    "PARENT_SPAN_ID",
    "SESSION_NAMESPACE",
    "TRACE_ID",
    "checked_now_ns",
    "is_uuid",
    "new_id",
    "now_ns",
    "now_since",
    "pin",
    "session_uuid",
    "stamp",
]

SESSION_NAMESPACE = uuid.UUID("5b0d4c5e-3f0b-5c86-9a53-2f6f7c1d9e10")
"""Fixed namespace of the uuid5 of a caller's session id that is not a UUID."""

TRACE_ID = "otel.trace_id"
"""The entry of a record's metadata that has its W3C trace, where that is not its session's id."""

PARENT_SPAN_ID = "otel.parent_span_id"
"""The entry of the metadata of a session that continues another tracer's trace: its span there."""

_BATCH = 256  # ids for which is drawn at once, and numbers of the counter
_SMALL_BATCH = 16  # where the last batch was not used up in time
_NEVER = -1_000_000
_FRESH_MS = 1_000  # for so long random bits are used after they were drawn
_step_ns = 50_000_000  # between our clock and the wall clock: then the wall clock has stepped
_READ_NS = 1_000_000  # that reading both clocks may take to count
_ANCHORS = 8  # the low three bits of a time name its anchor; literal where it is hot

_random = random.Random()  # noqa: S311  ids must be unique, not secret
_time_ns = time.time_ns
_monotonic_ns = time.monotonic_ns

# Every time that we give is a multiple of eight, plus the number of its anchor. So the end of a
# span can be taken by the clock that its start was taken by, whatever happened in between.
_anchors: list[int] = []
_anchor_ns = 0
_generation = 0

# What an id is put together from: to format its 128 bits each time costs twice all the rest.
_prefix_ms = -1
_prefix = ""
_sequence = 0
_drawn_ms = 0
_seeded_ms = _NEVER
_middles: tuple[str, ...] = ()  # by the counter: itself, the variant, 14 random bits
_tails: list[str] = []  # 48 random bits each


def now_ns() -> int:
    """Unix time in nanoseconds, by the monotonic clock after an anchor."""
    return (_monotonic_ns() & -8) + _anchor_ns


def now_since(start_ns: int) -> int:
    """Unix time by the anchor that ``start_ns`` was taken by: never before it.

    A step of the wall clock in between therefore changes no duration.
    """
    return (_monotonic_ns() & -8) + _anchors[start_ns & 7]


def checked_now_ns() -> int:
    """``now_ns``, after a look at the wall clock: it steps at resume, after a snapshot, by NTP."""
    now = now_ns()
    if not -_step_ns < _time_ns() - now < _step_ns:
        _follow_step()
        now = now_ns()
    return now


def stamp(at_ns: int | None = None) -> tuple[int, str]:
    """This moment (as ``now_ns`` gives it), or the given one, with a new id that begins with it."""
    global _sequence
    now = (_monotonic_ns() & -8) + _anchor_ns if at_ns is None else at_ns
    if now // 1_000_000 != _prefix_ms:
        now = _begin_ms(now, is_past=at_ns is not None)
    # Two threads may draw the same number here; the random bits keep their ids apart.
    _sequence = sequence = (_sequence + 1) % _BATCH
    try:
        tail = _tails.pop()
    except IndexError:
        tail = _draw()
    return now, _prefix + _middles[sequence] + tail


def _begin_ms(now: int, *, is_past: bool) -> int:
    """The first id of a millisecond: the wall clock is looked at, and random bits grow old."""
    global _prefix_ms, _prefix, _sequence
    if not is_past and not -_step_ns < _time_ns() - now < _step_ns:
        _follow_step()
        now = now_ns()
    ms = now // 1_000_000
    text = f"{ms:012x}"
    _prefix = f"{text[:8]}-{text[8:]}-7"
    _prefix_ms = ms
    _sequence = 0
    if not is_past and ms - _drawn_ms > _FRESH_MS:
        _tails.clear()
    return now


def _follow_step() -> None:
    """Anchor our clock anew, when the wall clock has really stepped.

    What was drawn is forgotten: after a snapshot, another copy of this process has it too.
    """
    for _ in range(5):
        before, wall, after = _monotonic_ns(), _time_ns(), _monotonic_ns()
        if after - before < _READ_NS:  # else this thread was not running in between
            break
    if not -_step_ns < wall - before - _anchor_ns < _step_ns:
        _anchor(wall - before)
        _restart()


def _anchor(offset_ns: int) -> None:
    """Give times by this distance between the clocks from now on."""
    global _anchor_ns, _generation
    number = _generation = (_generation + 1) % _ANCHORS
    anchor = (offset_ns & -8) + number
    # The numbers that are not in use yet mean the newest: a start may come from another clock.
    unused = number and _anchors[-1] == _anchor_ns
    for position in range(number, _ANCHORS if unused else number + 1):
        _anchors[position] = anchor  # one by one: two threads may notice the same step
    _anchor_ns = anchor


def _start() -> None:
    global _anchors, _anchor_ns, _generation
    _generation = 0
    _anchor_ns = (_time_ns() - _monotonic_ns()) & -8
    _anchors = [_anchor_ns] * _ANCHORS
    _restart()


def _draw() -> str:
    """Random bits for one id, and in store for more.

    The generator is seeded anew every second of use: two copies of a snapshot would go on alike.
    """
    global _drawn_ms, _seeded_ms
    ms = _prefix_ms
    if ms - _drawn_ms > _FRESH_MS:  # ids are rare: seeding costs more than these few
        drawn = os.urandom(6 * _SMALL_BATCH)
    else:
        if ms - _seeded_ms > _FRESH_MS:
            _random.seed(os.urandom(32))
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
    return stamp(at_ns)[1]


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
    global _prefix_ms, _seeded_ms, _middles
    _prefix_ms = -1
    _seeded_ms = _NEVER
    _tails.clear()
    bits = os.urandom(2 * _BATCH) if drawn else bytes(2 * _BATCH)
    variants = [0x80 | (high & 0x3F) for high in bits[:_BATCH]]
    _middles = tuple(
        f"{number:03x}-{variant:02x}{low:02x}-"
        for number, (variant, low) in enumerate(zip(variants, bits[_BATCH:], strict=True))
    )


_start()
fork_hooks.IDS.register(in_child=_restart)


def pin(monotonic_ns: Callable[[], int], draw: Callable[[], str]) -> Callable[[], None]:
    """Make clock and ids repeatable, for tests; returns what undoes it.

    ``monotonic_ns`` then gives Unix nanoseconds, ``draw`` the last 12 digits of an id.
    """
    global _anchors, _anchor_ns, _monotonic_ns, _step_ns, _draw
    before = (_anchors, _anchor_ns, _monotonic_ns, _step_ns, _draw)

    def undo() -> None:
        global _anchors, _anchor_ns, _monotonic_ns, _step_ns, _draw
        _anchors, _anchor_ns, _monotonic_ns, _step_ns, _draw = before
        _restart()

    _anchors, _anchor_ns = [0] * _ANCHORS, 0
    _monotonic_ns, _draw = monotonic_ns, draw
    _step_ns = 1 << 63
    _restart(drawn=False)
    return undo
