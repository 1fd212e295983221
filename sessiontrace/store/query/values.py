"""Numbers, durations and times as a query writes them.

Pure functions, no thread owns them. Invariant: each returns a finite value, or raises
``ValueError`` with a message that says which forms there are.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, tzinfo

__all__ = ["duration_ms", "moment_ms", "number", "score"]

_NUMBER = re.compile(r"\$?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d{1,2})?([km])?", re.IGNORECASE)
_FACTORS = {None: 1.0, "k": 1e3, "m": 1e6}
_LENGTH = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", re.IGNORECASE)
_UNITS_MS = {
    "ms": 1.0, "s": 1e3, "sec": 1e3, "": 1e3, "m": 6e4, "min": 6e4, "h": 3.6e6, "d": 8.64e7,
    "day": 8.64e7, "days": 8.64e7, "w": 6.048e8,
}  # fmt: skip
_EPOCH = re.compile(r"\d{10}|\d{13}")
_DAY = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")
_WORDS = {"true": 1.0, "good": 1.0, "false": 0.0, "bad": 0.0}
_LATEST_MS = 1 << 53


def number(text: str) -> float:
    """A count or an amount: ``100``, ``0.1``, ``10k``, ``1.5M``, ``$0.1``."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("a number, as in 100, 0.1 or 10k")
    suffix = match[3].lower() if match[3] else None
    value = float(match[1] + (match[2] or "")) * _FACTORS[suffix]
    if not math.isfinite(value):
        raise ValueError("a smaller number")
    return value


def score(text: str) -> float:
    """A score: a number, which may be negative, or true, false, good or bad."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return -number(text[1:]) if text.startswith("-") else number(text)
    except ValueError:
        raise ValueError("a number, true or false, as in score.quality:>0.5") from None


def duration_ms(text: str) -> float:
    """Milliseconds of ``250ms``, ``10s``, ``5min``, ``2h``; a bare number is seconds."""
    match = _LENGTH.fullmatch(text)
    unit = None if match is None else _UNITS_MS.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError("a duration, as in 250ms, 10s, 5min or 2h")
    return min(float(match[1]) * unit, float(_LATEST_MS))


def moment_ms(text: str, now: int, zone: tzinfo | None) -> tuple[int, int]:
    """First and last Unix ms of a time: of a day, a minute, or a moment so long before ``now``.

    Dates are in ``zone``, None for the zone of this machine. ``2h`` is two hours ago.
    """
    if _EPOCH.fullmatch(text):
        at = int(text) * (1000 if len(text) == 10 else 1)
        return at, at
    word = text.lower()
    if word == "now":
        return now, now
    if word in ("today", "yesterday"):
        day = _local(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return _day(day - timedelta(days=word == "yesterday"), timedelta(days=1), zone)
    match = _LENGTH.fullmatch(text)
    if match is not None and match[2] and match[2].lower() in _UNITS_MS:
        at = max(0, now - round(duration_ms(text)))
        return at, at
    try:
        return _date(text, zone)
    except (ValueError, OverflowError, OSError):
        raise ValueError("a time, as in 2h, 7d, today, 2026-01-31 or 2026-01-31T12:30") from None


def _date(text: str, zone: tzinfo | None) -> tuple[int, int]:
    if match := _DAY.fullmatch(text):
        year, month, day = int(match[1]), int(match[2]), match[3]
        if day is not None:
            return _day(datetime(year, month, int(day)), timedelta(days=1), zone)  # noqa: DTZ001
        following = datetime(year + month // 12, month % 12 + 1, 1)  # noqa: DTZ001 - see _day
        begin = datetime(year, month, 1)  # noqa: DTZ001
        return _day(begin, following - begin, zone)
    written = text.upper().replace("Z", "+00:00")
    begin = datetime.fromisoformat(written)
    width = timedelta(minutes=1) if written.count(":") - ("+" in written) < 2 else timedelta()
    return _day(begin, width or timedelta(milliseconds=1), zone)


def _local(ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(ms / 1000, zone)


def _day(begin: datetime, width: timedelta, zone: tzinfo | None) -> tuple[int, int]:
    """The first and the last ms of a stretch that begins at a local time."""

    def unix_ms(local: datetime) -> int:
        placed = local if local.tzinfo is not None or zone is None else local.replace(tzinfo=zone)
        return int(placed.timestamp() * 1000)

    first, end = unix_ms(begin), unix_ms(begin + width)
    if not 0 <= first < _LATEST_MS:
        raise ValueError("a time after 1970")
    return first, end - 1
