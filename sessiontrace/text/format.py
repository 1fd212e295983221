"""Texts, times and numbers as the terminal shows them.

Pure functions. Invariant: every recorded text passes through ``printable`` on its way to a
terminal, so that it can move no cursor, set no colour and hide nothing.
"""

from __future__ import annotations

import math
import time
import unicodedata

__all__ = [
    "amount", "cost", "day_or_time", "duration", "printable", "short_ids", "size", "when",
]  # fmt: skip

_SHORTEST_ID = 13  # the time part of a UUIDv7, with its hyphen


def printable(text: str, width: int | None = None) -> str:
    """``text`` on one line with control and direction characters escaped, cut to ``width``."""
    line = text
    if not text.isprintable():
        line = "".join(
            char if char.isprintable() or _is_plain(char) else _escaped(char) for char in text
        )
    if width is not None and len(line) > width:
        line = line[: max(0, width - 1)] + "…"
    return line


def _is_plain(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _escaped(char: str) -> str:
    code = ord(char)
    if char == "\n":
        return "\\n"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else "�"


def duration(ms: float | None) -> str:
    """Milliseconds for people: ``0.4 ms``, ``1.24 s``, ``2 min 05 s``, ``3 h 20 min``."""
    if ms is None:
        return "-"
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_995:
        return f"{ms / 1000:.2f} s" if ms < 9_995 else f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def when(ms: int) -> str:
    """Unix ms as local time, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000))


def day_or_time(ms: int) -> str:
    """Unix ms as local time: ``15:57:02`` of today, ``11-27 15:57`` of this year, or a date."""
    moment, now = time.localtime(ms / 1000), time.localtime()
    if moment[:3] == now[:3]:
        return time.strftime("%H:%M:%S", moment)
    return time.strftime("%m-%d %H:%M" if moment[0] == now[0] else "%Y-%m-%d", moment)


def amount(count: int, singular: str, plural: str | None = None) -> str:
    """``1 step``, ``3 steps``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def cost(dollars: float, unpriced: int, tokens: int) -> str | None:
    """``$0.42``, ``unpriced``, ``$0.42 + 2 unpriced``; None where no call used tokens."""
    if not dollars and unpriced:
        return "unpriced"
    if not dollars and not tokens:
        return None
    decimals = 2 if dollars >= 0.01 or not dollars else 1 - math.floor(math.log10(dollars))
    text = f"${dollars:,.{decimals}f}" if dollars else "$0"
    return f"{text} + {unpriced:,} unpriced" if unpriced else text


def short_ids(ids: list[str]) -> dict[str, str]:
    """The shortest prefixes of equal length that are all different, by id."""
    length = _SHORTEST_ID
    while length < 36 and len({session_id[:length] for session_id in ids}) < len(set(ids)):
        length += 1
    return {session_id: session_id[:length] for session_id in ids}


def size(count: int) -> str:
    """Bytes for people: ``812 B``, ``24 KiB``, ``1.5 MiB``."""
    if count < 1024:
        return f"{count} B"
    if count < 1 << 20:
        return f"{count / 1024:.0f} KiB"
    return f"{count / (1 << 20):.1f} MiB"
