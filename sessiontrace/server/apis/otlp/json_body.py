"""The JSON of an OTLP request, as exporters in every language write it.

Pure functions, no thread owns them. Invariant: half of a surrogate pair, which is what is left of
an emoji where an SDK cuts a text, and bytes that are not UTF-8 cost their character, not the
request.
"""

from __future__ import annotations

import re
from typing import Any

from sessiontrace.server.http import RequestRejected, decode_json

__all__ = ["decode_request"]

_ESCAPE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})(?P<low>\\u[dD][c-fC-F][0-9a-fA-F]{2})?"
    r"|u(?P<alone>[dD][c-fC-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def decode_request(body: bytes) -> Any:
    """The decoded request; ``RequestRejected`` where it is not JSON."""
    try:
        return decode_json(body)
    except RequestRejected as error:
        if error.status != 400:
            raise
        repaired = _ESCAPE.sub(_whole, body.decode(errors="replace")).encode()
        if repaired == body:
            raise
        return decode_json(repaired)


def _whole(escape: re.Match[str]) -> str:
    """The escape, or the replacement character for half of a pair."""
    is_half = escape["alone"] or (escape["high"] and not escape["low"])
    return "\ufffd" if is_half else escape[0]
