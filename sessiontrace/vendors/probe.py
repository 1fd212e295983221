"""What ``sessiontrace doctor`` asks of a vendor, and what it finds; values, no thread owns them.

Invariant: no finding contains a key.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

import attrs

from sessiontrace.export.protocol import Request

__all__ = ["FAULT", "OK", "WARNING", "Finding", "HttpProbe", "disk_space"]

OK, WARNING, FAULT = "ok", "warning", "fault"

_DISK_SPACE = 1 << 30


@attrs.frozen
class Finding:
    """``state``: "ok", "warning" or "fault". ``advice``: what to do, empty when all is well."""

    subject: str
    state: str
    text: str
    advice: str = ""


@attrs.frozen(kw_only=True)
class HttpProbe:
    """A request that needs the key and changes nothing, to the API at ``url``.

    ``url_variable``, ``key_variable``: where a user corrects address and key.
    ``accepted_statuses``: the statuses besides 2xx with which this API answers a good key.
    ``accepted_text``: what those and 2xx show.
    """

    url: str
    request: Request
    url_variable: str
    key_variable: str
    accepted_statuses: Collection[int] = ()
    accepted_text: str = "the key is accepted"


def disk_space(directory: Path) -> list[Finding]:
    """A warning where less than 1 GiB is free."""
    free = shutil.disk_usage(directory).free
    if free >= _DISK_SPACE:
        return []
    text = f"{free >> 20} MiB are free on the disk of {directory}"
    return [Finding("disk", WARNING, text, "free some space: records that do not fit are lost")]
