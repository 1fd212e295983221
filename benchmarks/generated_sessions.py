"""Sessions that ClickHouse generates by itself: any number, without texts, within a week.

Owned by the thread of the script. Invariant: an event is what a replica would have written but for
its record, which is short; it depends on its number, the count and the time alone.
"""

from __future__ import annotations

from sessiontrace.store.clickhouse.connection import Connection, Query

__all__ = ["STEPS", "generate"]

STEPS = 50
"""Events of a session, with its own record; two of five steps are calls of models."""

_PIECE = 100_000
_WEEK_MS = 7 * 86_400_000
_COLUMNS = (
    "project, session_id, event_id, day, role, rank, start_time, end_time, duration, parent_id, "
    "type, model, name, status, tokens, cost_nano, unpriced, first_chunk, error, told, facets, body"
)
_OWN = (
    """concat('[{"name":"agent ', toString(own % 17), '","source":"', if(own % 2 = 0, """
    """'production', 'staging'), '","user":"user ', toString(own % 10007), '","start":', """
    """toString(start), ',"end":', toString(start + 9000), ',"duration":', """
    """toString(9000.5 + hash % 5000), ',"status":"ended","error":null,"scores":{}},3]')"""
)
_GENERATE = f"""
INSERT INTO events ({_COLUMNS})
SELECT
    {{project:String}}, sid, if(is_own, sid, concat('02-', leftPad(toString(number), 33, '0'))),
    toDate(fromUnixTimestamp64Milli(toInt64(start))), if(is_own, 0, 1), 3, start,
    start + toUInt64(took), took, if(is_own, NULL, sid),
    multiIf(is_own, 'session', is_call, 'model', 'tool') AS kind,
    if(is_call, ['gpt-5', 'mini', 'sonnet', 'flash'][1 + number % 4], '') AS called,
    concat('answer ', toString(number % 23)) AS named, 'ended', 120 + number % 400,
    if(is_call, 1000000 + number % 1000, 0), 0, if(number % 5 = 4, 40.5 + hash % 3000 / 10, NULL),
    if(number % 997 = 0, 'TimeoutError: no answer', NULL), if(is_own, {_OWN}, ''),
    multiIf(
        is_own, [concat('tag=tag ', toString(own % 5)),
                 concat('metadata.request=', toString(hash))],
        is_call, ['type=model', concat('step=', named), concat('model=', called)],
        ['type=tool', concat('step=', named)]
    ),
    concat('{{"h":"', hex(hash), '"}}')
FROM (
    SELECT
        number, cityHash64(number) AS hash, 100 + exp(3 + (hash % 10000) / 2000) AS took,
        intDiv(number, {STEPS}) AS own, number % {STEPS} = 0 AS is_own,
        NOT is_own AND number % 5 > 2 AS is_call,
        {{oldest:UInt64}} + toUInt64(number * {{apart:Float64}}) AS start,
        concat('01', leftPad(toString(own), 34, '0')) AS sid
    FROM numbers({{first:UInt64}}, {{count:UInt64}})
)
SETTINGS max_partitions_per_insert_block = 0
"""


def generate(connection: Connection, project: str, count: int, now: int) -> None:
    """Insert so many events, spread over the week before ``now`` (Unix ms)."""
    values = {"project": project, "oldest": now - _WEEK_MS, "apart": _WEEK_MS / count}
    for first in range(0, count, _PIECE):
        piece = {"first": first, "count": min(_PIECE, count - first)}
        connection.run(Query(_GENERATE, {**values, **piece}))
