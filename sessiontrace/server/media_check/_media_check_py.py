"""The form of ``may_hold_media`` in Python, which is the specification; see ``media_check``."""

from __future__ import annotations

import re

__all__ = ["may_hold_media"]

_HEAD = 256  # bytes at the start of a medium's text that hold no quotation mark
_BEGIN = re.compile(r"(?:[^!-~]|\\[a-z])*[A-Za-z0-9+/_-]{16}")


def may_hold_media(body: str | bytes) -> bool:
    """Whether a JSON text describes a medium, or has a text that may be one.

    What ``capture``'s ``is_media`` accepts is long, and begins as a data URL or, after blanks, with
    letters of base64. A description has a ``sha256``.
    """
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    if '"data:' in text or '"sha256' in text:
        return True
    return any(len(part.encode()) >= _HEAD and _BEGIN.match(part) for part in text.split('"'))
