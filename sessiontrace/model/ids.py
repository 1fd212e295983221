"""Identifiers and clocks: UUIDv7 strings, and one wall-clock anchor for a process.

Called from any thread, takes no lock. Invariant: two ids made by this machine are never equal,
across threads and forks: 48 of their bits are random for each, and reseeded in a forked child.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable

from sessiontrace.runtime import fork_hooks

__all__ = ["SESSION_NAMESPACE", "is_uuid", "new_id", "now_ns", "pin", "session_uuid", "stamp"]

SESSION_NAMESPACE = uuid.UUID("5b0d4c5e-3f0b-5c86-9a53-2f6f7c1d9e10")
"""Fixed namespace of the uuid5 of a caller's session id that is not a UUID."""

_BATCH = 256  # ids for which is drawn at once, and numbers of the counter

_random = random.Random()  # noqa: S311  ids must be unique, not secret
_time_ns = time.time_ns
_monotonic_ns = time.monotonic_ns

_anchor_ns = _time_ns() - _monotonic_ns()

# What an id is put together from: to format its 128 bits each time costs twice all the rest.
_prefix_ms = -1
_prefix = ""
_sequence = 0
_middles: tuple[str, ...] = ()  # by the counter: itself, the variant, 14 random bits
_tails: list[str] = []  # 48 random bits each


def now_ns() -> int:
    """Unix time in nanoseconds, by the monotonic clock after the anchor taken at import.

    A step of the wall clock while the process runs therefore never makes a duration negative.
    """
    return _anchor_ns + _monotonic_ns()


def stamp(at_ns: int | None = None) -> tuple[int, str]:
    """This moment (as ``now_ns`` gives it), or the given one, with a new id that begins with it."""
    global _prefix_ms, _prefix, _sequence
    now = _anchor_ns + _monotonic_ns() if at_ns is None else at_ns
    ms = now // 1_000_000
    if ms != _prefix_ms:
        text = f"{ms:012x}"
        _prefix = f"{text[:8]}-{text[8:]}-7"
        _prefix_ms = ms
        _sequence = 0
    # Two threads may draw the same number here; the random bits keep their ids apart.
    _sequence = sequence = (_sequence + 1) % _BATCH
    try:
        tail = _tails.pop()
    except IndexError:
        tail = _draw()
    return now, _prefix + _middles[sequence] + tail


def _draw() -> str:
    """Random bits for one id, and in store for many more."""
    drawn = _random.getrandbits(48 * _BATCH).to_bytes(6 * _BATCH, "big").hex("-", 6).split("-")
    tail = drawn.pop()
    _tails.extend(drawn)
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
    global _prefix_ms, _middles
    _prefix_ms = -1
    _tails.clear()
    variants = [0x8000 | (_random.getrandbits(14) if drawn else 0) for _ in range(_BATCH)]
    _middles = tuple(f"{number:03x}-{variant:04x}-" for number, variant in enumerate(variants))


def _reseed() -> None:
    _random.seed(os.urandom(32))
    _restart()


_reseed()
fork_hooks.IDS.register(in_child=_reseed)


def pin(monotonic_ns: Callable[[], int], draw: Callable[[], str]) -> Callable[[], None]:
    """Make clock and ids repeatable, for tests; returns what undoes it.

    ``monotonic_ns`` then gives Unix nanoseconds, ``draw`` the last 12 digits of an id.
    """
    global _anchor_ns, _monotonic_ns, _draw
    before = (_anchor_ns, _monotonic_ns, _draw)

    def undo() -> None:
        global _anchor_ns, _monotonic_ns, _draw
        _anchor_ns, _monotonic_ns, _draw = before
        _restart()

    _anchor_ns, _monotonic_ns, _draw = 0, monotonic_ns, draw
    _restart(drawn=False)
    return undo
