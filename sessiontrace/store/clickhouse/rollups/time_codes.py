"""Times of four digits in 16 bits: how roll-ups keep the times of calls.

Pure. Invariant: a code and its time (µs) name each other, and are in the same order. The longest
time is 7 hours; a longer one counts as that.
"""

from __future__ import annotations

__all__ = ["CODE", "code", "time_of"]

_MOST = 65_535
_DIGITS = "greatest(length(toString(value)), 4)"
_UNIT = f"intExp10({_DIGITS} - 4)"

CODE = (
    "toUInt16(least(if(value < 1000, toUInt64(value), "
    f"toUInt64(9000 * ({_DIGITS} - 4) + intDiv(value + intDiv({_UNIT}, 2), {_UNIT}))), {_MOST}))"
)
"""The code of ``value`` (µs) in SQL, where ``value`` stands for an expression."""


def code(micros: int) -> int:
    """The code of a time that is not negative."""
    if micros < 1_000:
        return micros
    digits = len(str(micros))
    unit: int = 10 ** (digits - 4)
    return min(_MOST, 9_000 * (digits - 4) + (micros + unit // 2) // unit)


def time_of(code: int) -> int:
    """The time of a code."""
    if code < 1_000:
        return code
    exponent = (code - 1_000) // 9_000
    time: int = (code - 9_000 * exponent) * 10**exponent
    return time
