"""Reading other libraries' answers: pydantic models, plain objects or decoded JSON alike.

Runs inside user code, on the thread of the call. Invariant: reading changes nothing, and a missing
field is None.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

import orjson

__all__ = [
    "NOT_OBJECTS",
    "all_fields",
    "count_of",
    "get_field",
    "in_order",
    "joined",
    "merge_delta",
    "merge_snapshot",
    "other_fields",
    "parse_json",
    "pick",
    "plain",
    "read",
    "reader",
    "require_object",
    "set_fields",
    "tool_call",
    "value_in",
    "without_none",
]

_Part = TypeVar("_Part")

_OMITTED = frozenset({"Omit", "NotGiven", "Unset", "UNSET"})


def get_field(value: Any, name: str) -> Any:
    """``value.name`` or ``value["name"]``, and None where there is none."""
    if type(value) is dict:
        return value.get(name)
    try:
        attributes = value.__dict__
    except AttributeError:
        return None if type(value) in NOT_OBJECTS else getattr(value, name, None)
    if name in attributes:
        return attributes[name]
    # Fields that a provider adds to the API; getattr for one that the model lacks costs a
    # microsecond.
    try:
        extra = value.__pydantic_extra__
    except AttributeError:
        return getattr(value, name, None)
    return extra.get(name) if extra else None


def reader(value: Any) -> Callable[[str], Any]:
    """``get_field`` of one value, to read several of its fields at a third of the cost each."""
    if type(value) is dict:
        return value.get
    try:
        attributes, extra = value.__dict__, value.__pydantic_extra__
    except AttributeError:
        return functools.partial(get_field, value)
    return {**attributes, **extra}.get if extra else attributes.get


NOT_OBJECTS = frozenset({str, bytes, list, int, float, bool, type(None)})
"""The types of an answer that ``require_object`` refuses."""


def require_object(answer: Any) -> None:
    """Raise TypeError for an answer that is not an object, such as the page of a proxy."""
    if type(answer) in NOT_OBJECTS:
        raise TypeError(f"an answer must be an object, got {type(answer).__name__}")


def all_fields(value: Any) -> dict[str, Any]:
    """The fields of a model or dict, also those that its library does not know; not a copy."""
    if type(value) is dict:
        return value
    try:
        fields, extra = value.__dict__, value.__pydantic_extra__
    except AttributeError:
        return getattr(value, "__dict__", {})
    return {**fields, **extra} if extra else fields


_NONE: frozenset[str] = frozenset()


def other_fields(value: Any, names: frozenset[str]) -> dict[str, Any]:
    """The fields of an answer beside those of ``names`` that say something, as they were sent."""
    fields = set_fields(value, names)
    return {name: plain(field) for name, field in fields.items()} if fields else fields


def read(value: Any, names: frozenset[str]) -> tuple[Callable[[str], Any], dict[str, Any]]:
    """``reader`` and ``other_fields`` of one value, in one call where its class was seen before."""
    beside: list[str] | None = None
    if type(value) is not dict:
        try:
            if not value.__pydantic_extra__:  # it has the fields of its class
                beside = _fields_beside.get((type(value), names))
        except AttributeError:
            pass
    if beside is None:
        return reader(value), other_fields(value, names)
    fields = value.__dict__
    others: dict[str, Any] = {}
    for name in beside:
        field = fields.get(name)
        if field is not None and field != [] and type(field).__name__ not in _OMITTED:
            others[name] = plain(field)
    return fields.get, others


def set_fields(value: Any, names: frozenset[str] = _NONE) -> dict[str, Any]:
    """The fields beside those of ``names`` that a model or dict has a value for, not copied."""
    candidates: Iterable[str] | None = None
    try:
        if not value.__pydantic_extra__:  # it has the fields of its class: look them through once
            candidates = _fields_beside.get((type(value), names))
    except AttributeError:
        pass
    if candidates is None:
        candidates = _candidates(value, names)
    others: dict[str, Any] = {}
    if candidates:
        fields = all_fields(value)
        for name in candidates:
            field = fields.get(name)
            if field is not None and field != [] and type(field).__name__ not in _OMITTED:
                others[name] = field
    return others


_fields_beside: dict[tuple[type, frozenset[str]], list[str]] = {}


def _candidates(value: Any, names: frozenset[str]) -> list[str]:
    """The names of fields beside ``names`` that a value may have a value for."""
    declared = getattr(type(value), "__pydantic_fields__", None)
    if declared is None or value.__pydantic_extra__:
        return [name for name in all_fields(value) if name not in names and name[:1] != "_"]
    beside = [name for name in declared if name not in names]
    if len(_fields_beside) < 1_000:
        _fields_beside[type(value), names] = beside
    return beside


_SCALARS = frozenset({str, int, float, bool, type(None), bytes})


def plain(value: Any) -> Any:
    """A part of an answer as the provider sent it: models as their fields, without those unset.

    A model has every field that its library knows; the answer had those that are not None.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict:
        return {name: plain(field) for name, field in value.items()}
    if kind is list or kind is tuple:
        return [plain(element) for element in value]
    return other_fields(value, frozenset()) if hasattr(kind, "__pydantic_fields__") else value


def parse_json(text: str) -> Any:
    """A tool's input as a whole answer has it; a text when it was broken off in the middle."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


_REPEATED = frozenset(
    {"id", "type", "index", "role", "name", "format", "expires_at", "signature", "channel"}
)


def joined(pieces: Iterable[Any], separator: str = "") -> str:
    """The text that the pieces of a stream are together; an odd one counts by its JSON text."""
    texts = [*pieces]
    try:
        return separator.join(texts)
    except TypeError:
        return separator.join(
            text if isinstance(text, str) else orjson.dumps(plain(text), default=str).decode()
            for text in texts
        )


def count_of(value: Any) -> Any:
    """A number of tokens; None for another value."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def in_order(parts: Mapping[Any, _Part]) -> list[_Part]:
    """The parts of a streamed answer by their index; as they came where one index is odd."""
    try:
        return [parts[index] for index in sorted(parts)]
    except TypeError:
        return [*parts.values()]


_TEXTS = frozenset({"text", "thinking"})


def merge_delta(fields: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta to what has arrived: texts join, lists grow, and elements meet by index."""
    for name, value in delta.items():
        before = fields.get(name)
        if isinstance(value, str) and isinstance(before, str) and name not in _REPEATED:
            padded = name == "data" and before.endswith("=")
            fields[name] = _joined_base64(before, value) if padded else before + value
        elif name in _TEXTS and None not in (before, value) and type(before) is not type(value):
            fields[name] = joined([before, value])  # one of both is not a text
        elif isinstance(value, bytes) and isinstance(before, bytes) and name not in _REPEATED:
            fields[name] = before + value
        elif isinstance(value, list):
            merged = fields[name] = list(before) if isinstance(before, list) else []
            for element in value:
                _merge_element(merged, element)
        elif _is_record(value):
            own = fields[name] = dict(before) if isinstance(before, dict) else {}
            merge_delta(own, other_fields(value, frozenset()))
        elif value is not None:
            fields[name] = value


def _joined_base64(before: str, value: str) -> str:
    """Sound whose pieces were encoded each for itself, as if it had been encoded whole."""
    try:
        return base64.b64encode(base64.b64decode(before) + base64.b64decode(value)).decode()
    except ValueError:
        return before + value


def merge_snapshot(fields: dict[str, Any], snapshot: Mapping[str, Any]) -> None:
    """Add what a chunk says anew or again: new texts replace, and lists take what they lack."""
    for name, value in snapshot.items():
        before = fields.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            own = fields[name] = dict(before)
            merge_snapshot(own, value)
        elif (
            isinstance(value, list) and isinstance(before, list) and value[: len(before)] != before
        ):
            fields[name] = before + [element for element in value if element not in before]
        else:
            fields[name] = value


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) or hasattr(value, "__pydantic_extra__")


def _merge_element(merged: list[Any], element: Any) -> None:
    if not _is_record(element):
        merged.append(element)
        return
    fields = other_fields(element, frozenset())
    index, kind = fields.get("index"), fields.get("type")
    for other in merged if index is not None else ():
        if isinstance(other, dict) and (other.get("index"), other.get("type")) == (index, kind):
            merge_delta(other, fields)
            return
    own: dict[str, Any] = {}
    merge_delta(own, fields)
    merged.append(own)


_JSON_TYPES = frozenset({str, int, float, bool, list, dict})


def pick(body: Mapping[str, Any], names: AbstractSet[str]) -> dict[str, Any]:
    """The fields ``names`` of a request body, without those that the caller omitted."""
    return {
        name: value
        for name, value in body.items()
        if name in names
        and value is not None
        and ((kind := type(value)) in _JSON_TYPES or kind.__name__ not in _OMITTED)
    }


def value_in(body: Mapping[str, Any], name: str) -> Any:
    """One field of a request body; None where the caller omitted it."""
    value = body.get(name)
    return None if value is None or type(value).__name__ in _OMITTED else value


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """``values`` without those that are None."""
    return {name: value for name, value in values.items() if value is not None}


def tool_call(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """One tool call as events show it, in the form of the chat completions API.

    ``arguments``: a JSON text as the model wrote it, or the decoded object.
    """
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
