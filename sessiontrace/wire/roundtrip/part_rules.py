"""Which fields a part of a message must have by the conventions, by its type.

Pure functions, no thread owns them. Source: the JSON schemas of OTel's GenAI conventions: a part of
one of their types must have the fields of that type; any other part may have any. Invariant:
``conforming`` gives a part that the schemas allow, and ``original`` gives back the part.
"""

from __future__ import annotations

from typing import Any

__all__ = ["conforming", "original"]

Part = dict[str, Any]

_OTHER = "other"
_TEXTS = {
    "text": ("content",),
    "reasoning": ("content",),
    "blob": ("modality", "content"),
    "file": ("modality", "file_id"),
    "uri": ("modality", "uri"),
    "tool_call": ("name",),
    "tool_call_response": (),
    "server_tool_call": ("name",),
    "server_tool_call_response": (),
    "compaction": (),
}
"""The fields that must be texts."""

_OBJECTS = {
    "server_tool_call": "server_tool_call",
    "server_tool_call_response": "server_tool_call_response",
}
_OPTIONAL = ("id", "mime_type", "transcript")  # texts or null


def conforming(part: Any) -> Part:
    """The part, or one of a type of its own that holds it."""
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str) or (kind in _TEXTS and not _conforms(part, kind)):
        return {"type": _OTHER, "value": part}
    whole: Part = part
    return whole


def original(part: Any) -> Any:
    """The part that ``conforming`` was given."""
    if isinstance(part, dict) and part.get("type") == _OTHER and len(part) == 2 and "value" in part:
        return part["value"]
    return part


def _conforms(part: Part, kind: str) -> bool:
    if not all(isinstance(part.get(name), str) for name in _TEXTS[kind]):
        return False
    if kind == "tool_call_response" and "response" not in part:
        return False
    if kind == "compaction" and not isinstance(part.get("content"), (str, type(None))):
        return False
    if kind in _OBJECTS:
        details = part.get(_OBJECTS[kind])
        if not isinstance(details, dict) or not isinstance(details.get("type"), str):
            return False
    return all(isinstance(part.get(name), (str, type(None))) for name in _OPTIONAL)
