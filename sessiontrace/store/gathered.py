"""Fields of an event or session that arrive part by part, and in any order.

A late update brings parts in its object ``gathered``: each under a key that says which field the
part belongs to and where among the field's other parts it goes. Keys differ, so that the updates of
an object merge by key into the same parts whatever their order; a value of None takes a part back.
``resolve`` reads the fields from the parts. Pure functions, no thread owns them. Invariant: a field
that the record itself has stays as it is, and no result has the object ``gathered``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sessiontrace.store.call_union import united
from sessiontrace.store.judging import entries

__all__ = [
    "CALL",
    "CHOICE",
    "ERROR",
    "FOLDED",
    "GATHERED",
    "LOG",
    "MESSAGE",
    "NAME",
    "RATING",
    "REFERENCE",
    "SESSION",
    "SOURCE",
    "USER",
    "capped",
    "first_part",
    "folded_into",
    "part_key",
    "rating_parts",
    "resolve",
]

GATHERED = "gathered"

NAME, SOURCE, USER, ERROR = "name", "source", "user", "error"
REFERENCE = "reference"  # the sender's own id of the session
"""Fields of a session of which the first part counts."""
SESSION = "session"
"""Of a trace: id and sender's id of the session that it belongs to; the first part counts."""
MESSAGE, CHOICE, LOG = "message", "choice", "log"
"""Messages of a chat, a model's answers, and log records: all parts, in their order."""
CALL = "call"
"""What other records of the same model call know beyond this one: all parts, in their order."""
RATING = "rating"
"""Of a trace, or of what it is shown as: scores, as late changes; the last one of a name counts."""
FOLDED = "folded"
"""Of a record that another one of the same call shows: the id of that one."""

Record = dict[str, Any]


def part_key(field: str, rank: int, at_ns: int, tie: str) -> str:
    """The key of a part: the lowest rank goes first, then the earliest, then the lowest tie."""
    return f"{field} {rank:02d} {at_ns:020d} {tie}"


_MOST = {"log": 1_000, "message": 2_000, "choice": 200}
"""Parts of these fields that one record keeps: the first ones in their order."""
_CUT = "cut"


def capped(parts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parts, without those of a field beyond what one record keeps; a part says that.

    A service may log for hours within one span. Which parts stay does not depend on the order in
    which they arrive.
    """
    if len(parts) <= min(_MOST.values()):
        return parts
    first = dict(parts)
    for field, most in _MOST.items():
        keys = sorted(key for key in parts if key.startswith(f"{field} "))
        for key in keys[most:]:
            del first[key]
        if len(keys) > most:
            first[f"{_CUT} {field}"] = True
    return first


def first_part(parts: Mapping[str, Any], field: str) -> tuple[str, Any] | None:
    """Key and value of the first part of a field; None without any."""
    prefix = field + " "
    keys = [key for key, value in parts.items() if key.startswith(prefix) and value is not None]
    return (key, parts[key]) if (key := min(keys, default=None)) is not None else None


def folded_into(patch: Mapping[str, Any]) -> str | None:
    """The event that shows the one with these late updates as a part of itself."""
    parts = patch.get(GATHERED)
    first = first_part(parts, FOLDED) if isinstance(parts, dict) else None
    return first[1] if first is not None and isinstance(first[1], str) else None


def resolve(record: Record) -> Record:
    """The record with its gathered parts and its judgements in their fields."""
    parts, judgements = record.get(GATHERED), record.get(entries.JUDGEMENTS)
    if parts is None and judgements is None:
        return record
    whole = {name: record[name] for name in record if name not in (GATHERED, entries.JUDGEMENTS)}
    by_field: dict[str, list[Any]] = {}
    if isinstance(parts, dict):
        parts = capped(parts)
        for key in sorted(parts):
            if parts[key] is not None:
                by_field.setdefault(key.partition(" ")[0], []).append(parts[key])
    for key in parts if isinstance(parts, Mapping) else ():
        if key.startswith(f"{_CUT} "):
            _add_to_metadata(whole, f"{key.partition(' ')[2]}s_cut", True)
    for field, setter in _SETTERS.items():
        if values := by_field.get(field):
            setter(whole, values)
    if judgements is not None:
        rated = {name: at for _, at, change in rating_parts(parts) for name in _names(change)}
        entries.apply(whole, judgements, rated)
    return whole


def rating_parts(parts: Any) -> Iterator[tuple[str, int, Record]]:
    """The scores of a trace among the parts, in their order: key, time (Unix ms), late change."""
    for key in sorted(parts) if isinstance(parts, dict) else ():
        field, *place = key.split(" ")
        if field == RATING and isinstance(parts[key], dict) and len(place) > 1:
            yield key, int(place[1]) // 1_000_000 if place[1].isdigit() else 0, parts[key]


def _names(change: Record) -> Iterator[str]:
    for values in change.values():
        yield from values if isinstance(values, dict) else ()


def _first(name: str) -> Callable[[Record, list[Any]], None]:
    def set_first(record: Record, values: list[Any]) -> None:
        if not record.get(name):
            record[name] = values[0]

    return set_first


def _set_user(record: Record, values: list[Any]) -> None:
    if not record.get("user_properties"):
        record["user_properties"] = {"user_id": values[0]}


def _set_reference(record: Record, values: list[Any]) -> None:
    _add_to_metadata(record, "session_id", values[0])


def _set_messages(record: Record, values: list[Any]) -> None:
    inputs = record.get("inputs")
    if not inputs:
        record["inputs"] = {"chat_history": values}


def _set_choices(record: Record, values: list[Any]) -> None:
    if not record.get("outputs"):
        record["outputs"] = values[0] if len(values) == 1 else {"choices": values}


def _add_logs(record: Record, values: list[Any]) -> None:
    _add_to_metadata(record, "logs", values)


def _unite(record: Record, values: list[Any]) -> None:
    record.update(united(record, [value for value in values if isinstance(value, dict)]))


def _rate(record: Record, values: list[Any]) -> None:
    for value in values:
        for name, change in value.items() if isinstance(value, dict) else ():
            before = record.get(name)
            record[name] = {**(before if isinstance(before, dict) else {}), **change}


def _set_folded(record: Record, values: list[Any]) -> None:
    record[FOLDED] = values[0]


def _add_to_metadata(record: Record, name: str, value: Any) -> None:
    metadata = record.get("metadata")
    record["metadata"] = {name: value, **(metadata if isinstance(metadata, dict) else {})}


_SETTERS: Mapping[str, Callable[[Record, list[Any]], None]] = {
    NAME: _first("event_name"),
    SOURCE: _first("source"),
    ERROR: _first("error"),
    USER: _set_user,
    REFERENCE: _set_reference,
    MESSAGE: _set_messages,
    CHOICE: _set_choices,
    CALL: _unite,
    FOLDED: _set_folded,
    RATING: _rate,
    LOG: _add_logs,
}
