"""The lone text of a step's input or output, such as the question of a turn, as the text it is.

Pure functions, no thread owns them. Phoenix and MLflow show a conversation's turns as a chat where
they are texts. Invariant: only a value of one text is changed, and none over 16 KiB.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.chat_payload import lone_value

__all__ = ["unwrap_text"]

_MOST = 16 << 10


def unwrap_text(attributes: dict[str, Any], side: str) -> None:
    """Replace ``input.value`` or ``output.value``, as ``side`` says, by the only text in it."""
    encoded = attributes.get(f"{side}.value")
    if not isinstance(encoded, bytes) or len(encoded) > _MOST:
        return
    if (text := lone_value(encoded)) is not None:
        attributes[f"{side}.value"] = text
        attributes[f"{side}.mime_type"] = "text/plain"
