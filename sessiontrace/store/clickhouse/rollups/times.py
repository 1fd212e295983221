"""Until when the sessions of a project have roll-ups.

No thread owns it; the caller passes the connection. Times are seconds by ClickHouse's clock.
"""

from __future__ import annotations

from sessiontrace.store.clickhouse.connection import Connection, Query

__all__ = ["CHANGED", "filled_until", "is_filled"]

CHANGED = (
    "INSERT INTO sessions (project, session_id, month, written) "
    "SELECT {project:String}, arrayJoin({sessions:Array(String)}), toStartOfMonth(today()), now()"
)
"""The statement that marks sessions as written, where their rows change without an insert."""

_UNTIL = "SELECT toUnixTimestamp(max(until)) FROM rollup_times WHERE project = {project:String}"


def filled_until(connection: Connection, project: str) -> int:
    """Each session that was written last before this has its roll-up; 0 without any."""
    return int(connection.query(Query(_UNTIL, {"project": project}))[0][0])


def is_filled(connection: Connection, project: str) -> bool:
    """Whether sessions have roll-ups, but for those that were written lately."""
    return filled_until(connection, project) > 0
