"""A time in an exported page: local to who exports, with its zone, and in UTC for programs.

Pure, but for the zone of the process.
"""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["time_html"]


def time_html(ms: int) -> str:
    """Unix ms as a ``time`` element; a time out of range as its number."""
    try:
        moment = datetime.fromtimestamp(ms / 1000, timezone.utc)
        local = moment.astimezone()
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    zone = f"{local:%z}"
    return (
        f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{local:%Y-%m-%d %H:%M:%S} '
        f"UTC{zone[:3]}:{zone[3:5]}</time>"
    )
