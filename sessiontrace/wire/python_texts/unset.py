"""Placeholders of SDKs for a parameter that the caller left out, as instrumentors record them.

Pure, no thread owns it. Invariant: a value that a caller could have meant stays.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["is_unset", "stated"]

_PLACEHOLDER = re.compile(
    r"(?:<(?:class ')?[\w.]*\b(?:Omit|NotGiven|_?Unset|UnsetType)\b[^>]*>"
    r"|NOT_GIVEN|NotGiven\(\)|UNSET)\Z"
)
"""OpenAI's and Anthropic's ``NOT_GIVEN`` and ``Omit``, and ``Unset`` of Speakeasy's SDKs."""


def stated(parameters: dict[str, Any]) -> dict[str, Any]:
    """Those parameters of a request that have a value; those below ``kwargs`` are among them.

    An empty text has none: OpenInference's of Mistral writes it for ``UNSET``.
    """
    beside = parameters.get("kwargs")
    if isinstance(beside, dict):
        others = {name: value for name, value in parameters.items() if name != "kwargs"}
        parameters = {**beside, **others}
    return {name: value for name, value in parameters.items() if not is_unset(value)}


def is_unset(value: Any) -> bool:
    """Whether a value says that the caller gave none."""
    if isinstance(value, str):
        return not value or _PLACEHOLDER.match(value) is not None
    return value is None
