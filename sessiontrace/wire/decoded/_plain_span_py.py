"""The form of ``plain_chat`` in Python, which reads none; see ``plain_span``."""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.decoded.name_plan import PlainField
from sessiontrace.wire.received_span import Attributes

__all__ = ["plain_chat"]


def plain_chat(attributes: Attributes, fields: tuple[PlainField, ...]) -> dict[str, Any] | None:
    """The objects of the event that a chat's attributes describe; None: not plain.

    ``fields``: of a plan that is plain. The objects are inputs, outputs (where there are any),
    config, metadata and user_properties (where there are any).
    """
    return None
