"""Fills the roll-ups of sessions that have settled, a part at a time.

Owned by the thread that maintains the store. Sessions are those that were written last between the
end of the last round and ``SETTLED_S`` ago. Any number of replicas may fill the same, at the same
time: the later row of a session counts. Invariant: a round ends with a new time in ``rollup_times``
only when each of its sessions has its row, and a session without a record has none.
"""

from __future__ import annotations

import time
from typing import Any

import attrs

from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.list_conditions import CALLS, FACETS, NAMES, OWN, SUMS
from sessiontrace.store.clickhouse.rollups.amended import AMENDED, AMENDED_COLUMNS, rollups_of
from sessiontrace.store.clickhouse.rollups.tables import COLUMNS
from sessiontrace.store.clickhouse.rollups.times import filled_until
from sessiontrace.store.clickhouse.session_rows import WRITTEN, made_rows
from sessiontrace.store.clickhouse.tables import NEVER
from sessiontrace.store.models import SessionQuery

__all__ = ["SETTLED_S", "Filling", "fill_all"]

SETTLED_S = 120
"""A session has settled when nothing was written of it for so long, by ClickHouse's clock.

Longer than an insert takes, than clocks differ, and than a replica may lag (``_LAG_S``).
"""

_EVERY_S = 30.0
_LAG_S = 30
_SESSIONS_AT_ONCE = 2_000

_LAGGING = (
    "SELECT count() FROM system.replicas "
    "WHERE database = currentDatabase() AND absolute_delay > {most:UInt32}"
)
_SETTLED = """
SELECT session_id FROM sessions
WHERE project = {project:String} AND written >= toDateTime({since:UInt32}){range}
GROUP BY session_id
HAVING max(written) < toDateTime({until:UInt32})
"""
_NEXT = (
    "SELECT count(), max(session_id) FROM ("
    + _SETTLED.replace("{range}", " AND session_id > {after:String}")
    + "ORDER BY session_id LIMIT {most:UInt32})"
)
_RANGE = " AND session_id > {after:String} AND session_id <= {last:String}"
_THESE = f"{_RANGE} AND session_id IN ({_SETTLED.replace('{range}', _RANGE)})"
_SELECTED = ", ".join(COLUMNS[:-1])
_FILL = (
    f"INSERT INTO rollups (project, {_SELECTED}, at) "
    f"SELECT {{project:String}}, {_SELECTED}, toUnixTimestamp64Milli(now64(3)) "
    f"FROM ({made_rows({OWN, SUMS, CALLS, FACETS, NAMES, WRITTEN}, _THESE, AMENDED)}) "
    "WHERE NOT late"
)
_LATE = (
    f"SELECT session_id, start, active, bad, took, 0 AS place, [] AS sure, {AMENDED_COLUMNS} "
    f"FROM ({made_rows({FACETS, NAMES, WRITTEN}, _THESE, AMENDED)}) WHERE late"
)
# Deleted or moved while they were read.
_ORPHANS = (
    f"project = {{project:String}}{_RANGE} AND session_id NOT IN (SELECT session_id FROM sessions "
    f"WHERE project = {{project:String}}{_RANGE} AND least(told_start, seen_start) < {NEVER})"
)
_COUNT_ORPHANS = f"SELECT count() FROM rollups WHERE {_ORPHANS}"
_DELETE_ORPHANS = f"ALTER TABLE rollups DELETE WHERE {_ORPHANS} SETTINGS mutations_sync = 2"
_END = "INSERT INTO rollup_times (project, until) SELECT {project:String}, {until:UInt32}"


@attrs.define
class _Round:
    since: int
    until: int
    after: str = ""


@attrs.define
class Filling:
    """The rounds of one project."""

    connection: Connection
    project: str
    settled_s: int = SETTLED_S
    _round: _Round | None = attrs.field(default=None, init=False)
    _ended_at: float = attrs.field(default=0.0, init=False)

    def step(self) -> int:
        """Fill some sessions, when a round is due; returns how many at least are left.

        A round that fails begins anew when the next one is due.
        """
        own, self._round = self._round, None
        if own is None and self._ended_at and time.monotonic() - self._ended_at < _EVERY_S:
            return 0
        self._ended_at = time.monotonic()
        own = own or self._begin()
        if own is not None and self._fill(own):
            self._round = own
            return 1
        if own is not None:
            self._end(own)
        return 0

    def complete(self) -> None:
        """Fill all sessions that have settled."""
        self._round, self._ended_at = None, 0.0
        while self.step():
            pass

    def _begin(self) -> _Round | None:
        """The round that is due; None where the replica has not read what others wrote."""
        values = {"project": self.project, "most": _LAG_S}
        ((lagging,),) = self.connection.query(Query(_LAGGING, values))
        if lagging:
            return None
        ((now,),) = self.connection.query(Query("SELECT toUnixTimestamp(now())"))
        return _Round(filled_until(self.connection, self.project), now - self.settled_s)

    def _fill(self, own: _Round) -> bool:
        """Fill the next sessions; whether there may be further ones."""
        values: dict[str, Any] = {
            "project": self.project, "since": own.since, "until": own.until, "after": own.after,
            "most": _SESSIONS_AT_ONCE,
        }  # fmt: skip
        ((count, last),) = self.connection.query(Query(_NEXT, values))
        if not count:
            return False
        values["last"] = last
        self.connection.run(Query(_FILL, values))
        late = self.connection.query(Query(_LATE, values))
        if rows := list(rollups_of(self.connection, self.project, SessionQuery(), late)):
            columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
            self.connection.insert({"rollups": {"project": [self.project] * len(rows), **columns}})
        if self.connection.query(Query(_COUNT_ORPHANS, values))[0][0]:
            self.connection.run(Query(_DELETE_ORPHANS, values))
        own.after = last
        return int(count) == _SESSIONS_AT_ONCE

    def _end(self, own: _Round) -> None:
        if own.until > own.since:
            self.connection.run(Query(_END, {"project": self.project, "until": own.until}))


def fill_all(connection: Connection) -> None:
    """Fill the roll-ups of all projects. It may be stopped: servers go on where it was."""
    for (project,) in connection.query(Query("SELECT DISTINCT project FROM sessions")):
        Filling(connection, project).complete()
