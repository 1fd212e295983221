"""A record's JSON in another session, without decoding it.

Pure, no thread owns it. Invariant: ids stand at the head of a record, before any text of a user.
"""

from __future__ import annotations

from typing import AnyStr

__all__ = ["rehomed"]

_HEAD = len('{"event_id":"","session_id":"","parent_id":""') + 3 * 36


def rehomed(body: AnyStr, source: str, target: str) -> AnyStr:
    """``body`` with the session's id replaced as session and as parent; ids are UUIDs."""
    if isinstance(body, bytes):
        return body[:_HEAD].replace(source.encode(), target.encode()) + body[_HEAD:]
    return body[:_HEAD].replace(source, target) + body[_HEAD:]
