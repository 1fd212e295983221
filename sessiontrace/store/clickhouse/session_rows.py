"""The rows that a list, a chart and a dashboard are made of: one for each session that fits.

Pure, no thread owns it: it writes queries. A session that has settled has its row in ``rollups``;
the rows of the others are made from the tables that the views fill. Invariant: a session has one
row. Either says the same of it, except that a row that is made is without late updates.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sessiontrace.store.clickhouse.list_conditions import (
    CALLS,
    FACETS,
    MODELS,
    NAMES,
    ORDERS,
    OWN,
    SUMS,
    TAGS,
    ListConditions,
)
from sessiontrace.store.clickhouse.rollups.tables import CALL_COLUMNS
from sessiontrace.store.clickhouse.rollups.time_codes import CODE
from sessiontrace.store.clickhouse.tables import NEVER

__all__ = ["LATE", "SCOPE", "WRITTEN", "fitting", "made_rows"]

SCOPE = (
    " AND session_id IN (SELECT session_id FROM session_hours WHERE project = {project:String} "
    "AND hour BETWEEN {first_hour:UInt32} AND {last_hour:UInt32})"
)
"""The condition that a session had something begin or end in these hours."""

LATE = "SELECT session_id FROM patches WHERE project = {project:String}{scope} AND matters"
"""The sessions with late updates that a list shows."""

WRITTEN = "written"
"""The need for when a session was written last."""

_SETTLED = "(SELECT max(until) FROM rollup_times WHERE project = {project:String})"
_CHANGING = (
    " AND session_id IN (SELECT session_id FROM sessions WHERE project = {project:String} "
    f"AND written >= {_SETTLED}{{scope}})"
)

_EVERY = ("session_id", "start", "active", "bad", "took")
_OF_NEED: dict[str, Sequence[str]] = {
    OWN: ("name", "user", "source", "lasted"),
    SUMS: (
        "steps", "errors", "calls", "tokens", "cost_nano", "unpriced", "score_names",
        "score_sums", "score_counts", "score", "own_scores", "outcome",
    ),
    CALLS: CALL_COLUMNS,
    FACETS: ("facets",),
    MODELS: ("models",),
    TAGS: ("tags",),
    NAMES: ("folded",),
    WRITTEN: ("written",),
}  # fmt: skip
_FACETS_OF = {MODELS: "model=", TAGS: "tag="}

_OWN_STATES = """
        argMaxIfMerge(own) AS own,
        argMinIfMerge(first_turn) AS first_turn,
        argMaxIfMerge(last_turn) AS last_turn,
        argMaxIfMerge(last_user) AS last_user,"""
_OWN_COLUMNS = """
    JSONExtractString(own, 1, 'name') AS own_name,
    JSONExtractString(own, 1, 'user') AS own_user,
    JSONExtractString(own, 1, 'source') AS own_source,
    if(own_name != '', own_name, JSONExtractString(first_turn, 1, 3)) AS name,
    if(own_source != '', own_source, JSONExtractString(first_turn, 1, 4)) AS source,
    if(own_user != '', own_user, JSONExtractString(last_user, 3, 4)) AS user,
    if(own = '' OR first_turn != '' OR JSONExtractUInt(own, 2) = 1
            OR JSONType(own, 1, 'duration') NOT IN ('Double', 'Int64', 'UInt64'),
        toFloat64(greatest(end, start) - start), JSONExtractFloat(own, 1, 'duration')) AS lasted,"""
_SUM_COLUMNS = """
    steps, errors, calls, tokens, cost_nano, unpriced, mapKeys(scores) AS score_names,
    mapValues(scores) AS score_sums, mapValues(score_numbers) AS score_counts,
    if(empty(score_sums), -9e99,
        arrayAvg(arrayMap((total, number) -> total / number, score_sums, score_counts))) AS score,
    JSONLength(own, 1, 'scores') > 0 AS own_scores,
    JSONExtractString(own, 1, 'status') AS own_status,
    JSONExtractString(last_turn, 2, 4) AS turn_status,
    multiIf(
        JSONExtractUInt(own, 2) = 1 OR unended > 0, 'open',
        own = '' AND last_turn = '' AND steps > 0, 'ended',
        own_status != '', own_status, turn_status != '', turn_status, 'open') AS status,
    JSONExtractString(own, 1, 'error') AS own_error,
    if(status = 'ended' AND own_error != '', 'failed', status) AS outcome,"""
_STEPS = """
        SELECT
            session_id, step, failed AS bad, tallies.tokens AS used, tallies.cost_nano AS nano,
            tallies.unpriced AS unknown, open, tallies.scores AS rated, model{call}
        FROM tallies
        WHERE project = {project:String}{scope}
        ORDER BY session_id, step, version DESC, model DESC
        LIMIT 1 BY session_id, step"""
_SUMS = f"""
    SELECT
        session_id, count() AS steps, sum(bad) AS errors, sum(model) AS calls, sum(used) AS tokens,
        sum(nano) AS cost_nano, sum(unknown) AS unpriced, sum(open) AS unended,
        sumMap(rated) AS scores,
        sumMap(mapApply((label, _) -> (label, toUInt64(1)), rated)) AS score_numbers
    FROM ({_STEPS.replace("{call}", "")}
    )
    GROUP BY session_id"""
_SUMS_BY_MODEL = f"""
    SELECT
        session_id, sum(steps) AS steps, sum(errors) AS errors, sum(calls) AS calls,
        sum(tokens) AS tokens, sum(cost_nano) AS cost_nano, sum(unpriced) AS unpriced,
        sum(unended) AS unended, sumMap(scores) AS scores, sumMap(score_numbers) AS score_numbers,
        groupArrayIf(called, model > 0) AS call_models,
        groupArrayIf(call.steps, model > 0) AS call_counts,
        groupArrayIf(call.errors, model > 0) AS call_errors,
        groupArrayIf(call.tokens, model > 0) AS call_tokens,
        groupArrayIf(call.cost_nano, model > 0) AS call_costs,
        groupArrayIf(call.unpriced, model > 0) AS call_unpriced,
        groupArrayIf(latencies, model > 0) AS call_latencies,
        groupArrayIf(chunks, model > 0) AS call_chunks
    FROM (
        SELECT
            session_id, model, if(model > 0, toString(called), '') AS called, count() AS steps,
            sum(bad) AS errors, sum(model) AS calls, sum(used) AS tokens, sum(nano) AS cost_nano,
            sum(unknown) AS unpriced, sum(open) AS unended, sumMap(rated) AS scores,
            sumMap(mapApply((label, _) -> (label, toUInt64(1)), rated)) AS score_numbers,
            groupArrayIf({CODE.replace("value", "assumeNotNull(latency)")}, isNotNull(latency))
                AS latencies,
            groupArrayIf(
                {CODE.replace("value", "assumeNotNull(first_chunk_us)")},
                isNotNull(first_chunk_us)
            ) AS chunks
        FROM ({_STEPS.replace("{call}", ", called, latency, first_chunk_us")}
        )
        GROUP BY session_id, model, called
    ) AS call
    GROUP BY session_id"""


def made_rows(needs: Collection[str], scope: str = "", late: str = LATE) -> str:
    """A query for the rows of sessions, made without ``rollups``.

    ``late``: a query for the sessions with late updates.
    """
    needs_own = not {OWN, SUMS, CALLS}.isdisjoint(needs)
    sums = _SUMS_BY_MODEL if CALLS in needs else _SUMS if SUMS in needs else ""
    joined = f"\nLEFT JOIN ({sums}\n) AS sums USING session_id" if sums else ""
    arrays = [name for name in (FACETS, NAMES) if name in needs]
    if FACETS not in arrays and not _FACETS_OF.keys().isdisjoint(needs):
        arrays.append(FACETS)
    gathered = "".join(
        f",\n        groupUniqArrayArray(sessions.{name}) AS {name}" for name in arrays
    )
    filtered = "".join(
        f"arrayFilter(facet -> startsWith(facet, '{_FACETS_OF[need]}'), facets) AS {need}, "
        for need in _FACETS_OF
        if need in needs
    )
    calls = "".join(f"{name}, " for name in CALL_COLUMNS) if CALLS in needs else ""
    query = f"""
SELECT
    session_id, start, greatest(told_end, seen_end, start) AS active, bad,
    {"".join(f"{name}, " for name in arrays)}{filtered}{calls}
    {"last_written AS written, " if WRITTEN in needs else ""}
    {_OWN_COLUMNS if needs_own else ""}{_SUM_COLUMNS if sums else ""}
    session_id IN ({late}) AS late,
    toUInt64(greatest(end, start) - start) AS took
FROM (
    SELECT
        session_id,{_OWN_STATES if needs_own else ""}
        {"max(sessions.written) AS last_written," if WRITTEN in needs else ""}
        min(told_start) AS told,
        min(seen_start) AS seen,
        max(sessions.seen_end) AS seen_end,
        greatest(max(own_end), max(turns_end)) AS told_end,
        if(told = {NEVER}, seen, told) AS start,
        if(told_end = 0, seen_end, told_end) AS end,
        max(sessions.failed) AS bad{gathered}
    FROM sessions
    WHERE project = {{project:String}}{{scope}}
    GROUP BY session_id
) AS parts{joined}
WHERE start < {NEVER}"""
    return query.replace("{scope}", scope)


def _settled_rows(needs: Collection[str], scope: str) -> str:
    """A query for the rows of the sessions that have settled."""
    names = [*_EVERY, *(name for need in _OF_NEED if need in needs for name in _OF_NEED[need])]
    changing = _CHANGING.replace(" IN ", " NOT IN ", 1).replace("{scope}", scope)
    return (
        f"SELECT {', '.join(names)}, 0 AS late FROM rollups FINAL "
        f"WHERE project = {{project:String}}{scope}{changing}"
    )


def fitting(
    conditions: ListConditions,
    order: str,
    scope: str = "",
    columns: Sequence[str] = (),
    late: str = LATE,
    *,
    settled: bool = True,
) -> str:
    """A query for matching sessions: id, start, last activity, failed, ms, order, sure texts.

    ``columns`` are further ones of those that the conditions need, or ``late``. ``settled``: also
    those that have settled, which are with their late updates.
    """
    having = "".join(f" AND {condition}" for condition in conditions.having)
    texts = ", ".join(f"toUInt8({text})" for text in conditions.texts)
    own = f"""
SELECT session_id, start, active, bad, took, {ORDERS[order][0]} AS place, [{texts}] AS sure
    {"".join(f", {name}" for name in columns)}
FROM ("""
    within = f")\nWHERE active BETWEEN {{low:UInt64}} AND {{high:UInt64}}{having}"
    changing = _CHANGING.replace("{scope}", scope)
    queries = [made_rows(conditions.needs, changing, late)]
    if settled:
        queries.append(_settled_rows(conditions.needs, scope))
    both = "\nUNION ALL".join(f"{own}{query}{within}" for query in queries)
    return f"SELECT * FROM ({both}\n)".replace("{scope}", scope)
