"""Dates and times in ISO form; runs in the user's thread.

Invariant: no time zone of the user's computes an offset.
"""

from __future__ import annotations

import datetime
from typing import Any

from sessiontrace.capture.encoding.safe_text import name_of_object
from sessiontrace.capture.encoding.static_access import module_of

__all__ = ["iso_text"]

# Subclasses from these packages have more to say than their base: nanoseconds, and NaT.
_PACKAGES = frozenset({"datetime", "freezegun", "pandas", "pendulum"})
# Time zones of these packages compute their offsets from memory.
_ZONES = frozenset(
    {"datetime", "dateutil", "pandas", "pendulum", "pydantic_core", "pytz", "zoneinfo"}
)


def iso_text(value: datetime.date | datetime.time) -> str:
    """As ``isoformat`` writes it; a time zone of the user's is named in place of its offset."""
    kind = type(value)
    for base in (datetime.datetime, datetime.date, datetime.time):
        if issubclass(kind, base):
            break
    if base is not datetime.date:
        zone = base.__dict__["tzinfo"].__get__(value)
        if zone is not None and _package(type(zone)) not in _ZONES:
            return f"{_without_zone(value)} {name_of_object(zone)}"
    own: Any = kind if _package(kind) in _PACKAGES else base
    return str(own.isoformat(value))


def _without_zone(value: Any) -> str:
    if not issubclass(type(value), datetime.datetime):
        return datetime.time(value.hour, value.minute, value.second, value.microsecond).isoformat()
    clock = datetime.datetime.time(value)
    return datetime.datetime.combine(datetime.datetime.date(value), clock).isoformat()


def _package(kind: type) -> str:
    return module_of(kind).partition(".")[0]
