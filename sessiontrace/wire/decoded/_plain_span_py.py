"""The forms in Python, which read no span; see ``plain_span``."""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.decoded.name_plan import PlainField
from sessiontrace.wire.received_span import Attributes

__all__ = ["encoded_chat", "plain_chat"]


def plain_chat(attributes: Attributes, fields: tuple[PlainField, ...]) -> dict[str, Any] | None:
    """The objects of the event that a chat's attributes describe; None: not plain.

    ``fields``: of a plan that is plain. The objects are inputs, outputs (where there are any),
    config, metadata and user_properties (where there are any).
    """
    return None


def encoded_chat(attributes: Attributes, fields: tuple[PlainField, ...]) -> dict[str, Any] | None:
    """As ``plain_chat``, with messages as JSON where they need no decoding.

    Inputs and outputs are an ``orjson.Fragment`` then.
    """
    return None
