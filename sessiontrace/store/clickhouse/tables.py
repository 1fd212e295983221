"""The statements that create the tables in ClickHouse, and the views that fill them.

Values, no thread owns them; ``{cluster}``, ``{Replicated}``, ``{days}`` and ``{words}`` are filled
in by ``schema``. Invariant: no table counts what arrives, since records come at least once, through
any replica, in any order. ``events``, ``patches``, ``notes`` and ``tallies`` keep the greatest
version of a key (ReplacingMergeTree; queries choose among versions that are not merged
yet); ``sessions`` and ``vocabulary`` hold only what is the same however often a record is added
(least, greatest, first, last). The views fill ``sessions``, ``tallies`` and ``session_hours`` from
what is inserted, all that a list of sessions reads, and ``vocabulary`` with each word once.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "CALLS",
    "EMBEDDINGS",
    "FACETS",
    "MEDIA",
    "NEVER",
    "SESSIONS_ANEW",
    "TABLES",
    "UNPRICED",
    "WORDS",
]

NEVER = 2**64 - 1
"""The start of a session of which neither a record nor an event arrived."""

# The words of a text, each once, in lower case; punctuation beyond ASCII parts words too.
WORDS = (
    "concat(' ', arrayStringConcat(arrayDistinct(tokens(lowerUTF8(if(isValidASCII(text), text, "
    "replaceRegexpAll(text, '[\\\\p{P}\\\\p{S}\\\\p{Z}]+', ' '))))), ' '))"
)

_EVENTS = """
CREATE TABLE IF NOT EXISTS events {cluster} (
    project LowCardinality(String),
    session_id String CODEC(ZSTD(1)),
    event_id String CODEC(ZSTD(1)),
    day Date,
    role UInt8,
    rank UInt8,
    start_time UInt64 CODEC(Delta, ZSTD(1)),
    end_time Nullable(UInt64) CODEC(ZSTD(1)),
    duration Nullable(Float64) CODEC(ZSTD(1)),
    parent_id Nullable(String) CODEC(ZSTD(1)),
    type LowCardinality(String),
    name LowCardinality(String),
    status LowCardinality(String),
    error Nullable(String) CODEC(ZSTD(1)),
    tokens UInt64 CODEC(ZSTD(1)),
    cost_nano UInt64 CODEC(ZSTD(1)),
    first_chunk Nullable(Float64) CODEC(ZSTD(1)),
    scores Map(LowCardinality(String), Int64) CODEC(ZSTD(1)),
    told String CODEC(ZSTD(1)),
    folded Array(String) CODEC(ZSTD(1)),
    body String CODEC(ZSTD(3)),
    text String EPHEMERAL,
    words String DEFAULT {words} CODEC(ZSTD(1)),
    written DateTime DEFAULT now() CODEC(ZSTD(1)),
    version UInt128 MATERIALIZED bitOr(
        bitOr(
            bitShiftLeft(toUInt128(rank), 120),
            bitShiftLeft(toUInt128(ifNull(end_time, 0)), 64)
        ),
        toUInt128(bitAnd(cityHash64(body), 65535))
    ) CODEC(ZSTD(1)),
    INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_word words TYPE text(tokenizer = splitByNonAlpha)
) ENGINE = {Replicated}ReplacingMergeTree(version)
PARTITION BY day
ORDER BY (project, session_id, start_time, event_id)
TTL written + INTERVAL {days} DAY
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1
"""

_PATCHES = """
CREATE TABLE IF NOT EXISTS patches {cluster} (
    project LowCardinality(String),
    session_id String,
    event_id String,
    content UInt64,
    at UInt64,
    month Date,
    matters UInt8,
    failed UInt8,
    folded Array(String),
    body String CODEC(ZSTD(3)),
    text String EPHEMERAL,
    words String DEFAULT {words},
    written DateTime DEFAULT now(),
    INDEX by_word words TYPE text(tokenizer = splitByNonAlpha)
) ENGINE = {Replicated}ReplacingMergeTree(at)
PARTITION BY month
ORDER BY (project, session_id, event_id, content)
TTL written + INTERVAL {days} DAY
SETTINGS index_granularity = 1024
"""

_NOTES = """
CREATE TABLE IF NOT EXISTS notes {cluster} (
    project LowCardinality(String),
    kind LowCardinality(String),
    id String,
    at UInt64,
    body String,
    gone UInt8,
    version UInt64
) ENGINE = {Replicated}ReplacingMergeTree(version)
ORDER BY (project, kind, id)
"""

_SESSIONS = f"""
CREATE TABLE IF NOT EXISTS sessions {{cluster}} (
    project LowCardinality(String),
    session_id String CODEC(ZSTD(1)),
    month Date,
    own AggregateFunction(argMaxIf, String, UInt128, UInt8),
    first_turn AggregateFunction(argMinIf, String, Tuple(UInt64, String), UInt8),
    last_turn AggregateFunction(argMaxIf, String, Tuple(UInt64, String, UInt8), UInt8),
    last_user AggregateFunction(argMaxIf, String, Tuple(UInt64, String, UInt8), UInt8),
    told_start SimpleAggregateFunction(min, UInt64) DEFAULT {NEVER},
    own_end SimpleAggregateFunction(max, UInt64),
    turns_end SimpleAggregateFunction(max, UInt64),
    seen_start SimpleAggregateFunction(min, UInt64) DEFAULT {NEVER},
    seen_end SimpleAggregateFunction(max, UInt64),
    failed SimpleAggregateFunction(max, UInt8),
    folded SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    written SimpleAggregateFunction(max, DateTime)
) ENGINE = {{Replicated}}AggregatingMergeTree
PARTITION BY month
ORDER BY (project, session_id)
TTL written + INTERVAL {{days}} DAY
SETTINGS index_granularity = 1024
"""

_SESSIONS_VIEW = f"""
CREATE MATERIALIZED VIEW IF NOT EXISTS sessions_of_events {{cluster}} TO sessions AS
SELECT
    project,
    session_id,
    toStartOfMonth(day) AS month,
    argMaxIfState(told, version, role = 0) AS own,
    argMinIfState(told, (start_time, event_id), role = 2) AS first_turn,
    argMaxIfState(told, (start_time, event_id, rank), role = 2) AS last_turn,
    argMaxIfState(told, (start_time, event_id, rank), role = 2 AND has_user) AS last_user,
    min(if(role = 1, {NEVER}, start_time)) AS told_start,
    max(if(role = 0, ifNull(end_time, 0), 0)) AS own_end,
    max(if(role = 2, ifNull(end_time, 0), 0)) AS turns_end,
    min(if(role = 0, {NEVER}, start_time)) AS seen_start,
    max(if(role = 0, 0, ifNull(end_time, start_time))) AS seen_end,
    max(isNotNull(error)) AS failed,
    groupUniqArrayArray(folded) AS folded,
    max(written) AS written
FROM (SELECT *, version, JSONExtractRaw(told, 3) != 'null' AS has_user FROM events)
GROUP BY project, session_id, month
"""

_PATCHES_VIEW = """
CREATE MATERIALIZED VIEW IF NOT EXISTS sessions_of_patches {cluster} TO sessions AS
SELECT
    project,
    session_id,
    month,
    max(failed) AS failed,
    groupUniqArrayArray(folded) AS folded,
    max(written) AS written
FROM patches
GROUP BY project, session_id, month
"""

_HOURS = """
CREATE TABLE IF NOT EXISTS session_hours {cluster} (
    project LowCardinality(String),
    hour UInt32 CODEC(Delta, ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    month Date,
    written SimpleAggregateFunction(max, DateTime) CODEC(ZSTD(1))
) ENGINE = {Replicated}AggregatingMergeTree
PARTITION BY month
ORDER BY (project, hour, session_id)
TTL written + INTERVAL {days} DAY
"""

_HOURS_VIEW = """
CREATE MATERIALIZED VIEW IF NOT EXISTS hours_of_events {cluster} TO session_hours AS
SELECT
    project,
    toUInt32(intDiv(start_time, 3600000)) AS hour,
    session_id,
    toStartOfMonth(day) AS month,
    max(written) AS written
FROM events
GROUP BY project, hour, session_id, month
"""

_TALLIES = """
CREATE TABLE IF NOT EXISTS tallies {cluster} (
    project LowCardinality(String),
    session_id String CODEC(ZSTD(1)),
    step UInt64 CODEC(ZSTD(1)),
    month Date,
    failed UInt8,
    model UInt8,
    open UInt8,
    tokens UInt64 CODEC(ZSTD(1)),
    cost_nano UInt64 CODEC(ZSTD(1)),
    scores Map(LowCardinality(String), Int64) CODEC(ZSTD(1)),
    version UInt128 CODEC(ZSTD(1)),
    written DateTime CODEC(ZSTD(1))
) ENGINE = {Replicated}ReplacingMergeTree(version)
PARTITION BY month
ORDER BY (project, session_id, step)
TTL written + INTERVAL {days} DAY
SETTINGS index_granularity = 1024
"""

_TALLIES_VIEW = """
CREATE MATERIALIZED VIEW IF NOT EXISTS tallies_of_events {cluster} TO tallies AS
SELECT
    project,
    session_id,
    cityHash64(event_id) AS step,
    toStartOfMonth(day) AS month,
    isNotNull(error) AS failed,
    type = 'model' AS model,
    role = 2 AND rank = 1 AS open,
    tokens,
    cost_nano,
    scores,
    version,
    written
FROM events
WHERE role > 0
"""

_VOCABULARY = """
CREATE TABLE IF NOT EXISTS vocabulary {cluster} (
    project LowCardinality(String),
    word String CODEC(ZSTD(1)),
    written SimpleAggregateFunction(max, DateTime) CODEC(ZSTD(1))
) ENGINE = {Replicated}AggregatingMergeTree
ORDER BY (project, word)
TTL written + INTERVAL {days} DAY
SETTINGS index_granularity = 1024
"""

_VOCABULARY_VIEW = """
CREATE MATERIALIZED VIEW IF NOT EXISTS vocabulary_of_{table} {cluster} TO vocabulary AS
SELECT project, arrayJoin(splitByChar(' ', trimBoth(words))) AS word, max(written) AS written
FROM {table}
GROUP BY project, word
"""

TABLES: Sequence[str] = (
    _EVENTS, _PATCHES, _NOTES, _SESSIONS, _HOURS, _TALLIES, _VOCABULARY,
    _SESSIONS_VIEW, _PATCHES_VIEW, _HOURS_VIEW, _TALLIES_VIEW,
    _VOCABULARY_VIEW.replace("{table}", "events"), _VOCABULARY_VIEW.replace("{table}", "patches"),
)  # fmt: skip
"""In the order of their creation."""

_PRICED_TALLIES = _TALLIES_VIEW.partition(" AS\n")[2].replace(
    "    cost_nano,\n", "    cost_nano,\n    unpriced,\n"
)

UNPRICED: Sequence[str] = (
    "ALTER TABLE events {cluster} ADD COLUMN IF NOT EXISTS unpriced UInt8 "
    "DEFAULT type = 'model' AND tokens > 0 AND cost_nano = 0 AFTER cost_nano",
    "ALTER TABLE tallies {cluster} ADD COLUMN IF NOT EXISTS unpriced UInt8 "
    "DEFAULT model = 1 AND tokens > 0 AND cost_nano = 0 AFTER cost_nano",
    f"ALTER TABLE tallies_of_events {{cluster}} MODIFY QUERY {_PRICED_TALLIES}",
)
"""The second migration: which calls used tokens at an unknown cost."""

# What ``facets.facets_of`` returns, for rows that were inserted without: the entries of metadata at
# the first level, without lists but tags.
_FACETS_BEFORE = (
    "arrayFilter(facet -> NOT endsWith(facet, '='), arrayConcat("
    "multiIf(role = 0, [], role = 2, ['type=turn'], [concat('type=', lowerUTF8(type))]), "
    "if(role = 0, [], [concat('step=', lowerUTF8(name))]), "
    "arrayMap(part -> concat('model=', lowerUTF8(part)), arrayDistinct("
    "[JSONExtractString(body, 'config', 'model'), "
    "JSONExtractString(body, 'metadata', 'response_model')])), "
    "arrayMap(part -> concat('tag=', lowerUTF8(part)), "
    "JSONExtract(body, 'metadata', 'tags', 'Array(String)')), "
    "arrayMap(part -> concat('metadata.', lowerUTF8(part.1), '=', "
    "lowerUTF8(trim(BOTH '\"' FROM part.2))), "
    "arrayFilter(part -> substring(part.2, 1, 1) NOT IN ('{', '[') "
    "AND NOT endsWith(part.1, '_tokens'), "
    "JSONExtractKeysAndValuesRaw(body, 'metadata')))))"
)
_FACETED_SESSIONS = _SESSIONS_VIEW.partition(" AS\n")[2].replace(
    "    groupUniqArrayArray(folded) AS folded,\n",
    "    groupUniqArrayArray(folded) AS folded,\n    groupUniqArrayArray(facets) AS facets,\n",
)
_FACETED_PATCHES = _PATCHES_VIEW.partition(" AS\n")[2].replace(
    "    groupUniqArrayArray(folded) AS folded,\n",
    "    groupUniqArrayArray(folded) AS folded,\n    groupUniqArrayArray(facets) AS facets,\n",
)
_HOURS_OF_ENDS = _HOURS_VIEW.partition(" AS\n")[2].replace(
    "toUInt32(intDiv(start_time, 3600000)) AS hour",
    "toUInt32(intDiv(arrayJoin(arrayDistinct([start_time, ifNull(end_time, start_time)])), "
    "3600000)) AS hour",
)

FACETS: Sequence[str] = (
    "ALTER TABLE events {cluster} ADD COLUMN IF NOT EXISTS facets Array(String) "
    f"DEFAULT {_FACETS_BEFORE} CODEC(ZSTD(1)) AFTER folded",
    "ALTER TABLE patches {cluster} ADD COLUMN IF NOT EXISTS facets Array(String) AFTER folded",
    "ALTER TABLE sessions {cluster} ADD COLUMN IF NOT EXISTS facets "
    "SimpleAggregateFunction(groupUniqArrayArray, Array(String)) AFTER folded",
    f"ALTER TABLE sessions_of_events {{cluster}} MODIFY QUERY {_FACETED_SESSIONS}",
    f"ALTER TABLE sessions_of_patches {{cluster}} MODIFY QUERY {_FACETED_PATCHES}",
    f"ALTER TABLE hours_of_events {{cluster}} MODIFY QUERY {_HOURS_OF_ENDS}",
    "INSERT INTO sessions (project, session_id, month, facets, written) "
    "SELECT project, session_id, toStartOfMonth(day) AS month, "
    "groupUniqArrayArray(events.facets), max(written) "
    "FROM events GROUP BY project, session_id, month",
    f"INSERT INTO session_hours (project, hour, session_id, month, written) {_HOURS_OF_ENDS}",
)
"""The third migration: what filters look at, and the hours in which something ended."""

_EVERY_CALL = _PRICED_TALLIES.replace(
    "type = 'model' AS model", "type IN ('embedding', 'model') AS model"
)

EMBEDDINGS: Sequence[str] = (
    f"ALTER TABLE tallies_of_events {{cluster}} MODIFY QUERY {_EVERY_CALL}",
    # A second row of the same version, which the sums prefer because it counts as a call.
    "INSERT INTO tallies (project, session_id, step, month, failed, model, open, tokens, "
    f"cost_nano, unpriced, scores, version, written) {_EVERY_CALL.rstrip()} AND type = 'embedding'",
)
"""The fourth migration: a call for vectors is a call of a model."""

_MODEL_BEFORE = (
    "substringUTF8(coalesce(nullIf(JSONExtractString(body, 'config', 'model'), ''), "
    "JSONExtractString(body, 'metadata', 'response_model')), 1, 200)"
)
_OF_CALL = "if(type IN ('embedding', 'model'), {value}, {other}) AS {name}"
_CALL_COLUMNS = ", ".join(
    _OF_CALL.replace("{value}", value).replace("{other}", other).replace("{name}", name)
    for value, other, name in (
        ("events.model", "''", "called"),
        ("toUInt64(round(duration * 1000))", "NULL", "latency"),
        ("toUInt64(round(first_chunk * 1000))", "NULL", "first_chunk_us"),
    )
)
_CALL_TALLIES = _EVERY_CALL.replace("    version,\n", f"    {_CALL_COLUMNS},\n    version,\n")

CALLS: Sequence[str] = (
    "ALTER TABLE events {cluster} ADD COLUMN IF NOT EXISTS model LowCardinality(String) "
    f"DEFAULT {_MODEL_BEFORE} CODEC(ZSTD(1)) AFTER type",
    "ALTER TABLE tallies {cluster} ADD COLUMN IF NOT EXISTS called LowCardinality(String) "
    "AFTER unpriced",
    "ALTER TABLE tallies {cluster} ADD COLUMN IF NOT EXISTS latency Nullable(UInt64) "
    "CODEC(ZSTD(1)) AFTER called",
    "ALTER TABLE tallies {cluster} ADD COLUMN IF NOT EXISTS first_chunk_us Nullable(UInt64) "
    "CODEC(ZSTD(1)) AFTER latency",
    f"ALTER TABLE tallies_of_events {{cluster}} MODIFY QUERY {_CALL_TALLIES}",
    "INSERT INTO tallies (project, session_id, step, month, failed, model, open, tokens, "
    "cost_nano, unpriced, scores, called, latency, first_chunk_us, version, written) "
    "SELECT project, session_id, step, month, failed, model, open, tokens, cost_nano, unpriced, "
    f"scores, called, latency, first_chunk_us, version, written FROM ({_CALL_TALLIES})",
)
"""The sixth migration: the model of a call, and its times (µs), beside its tally."""


_MEDIA = """
CREATE TABLE IF NOT EXISTS media {cluster} (
    project LowCardinality(String),
    digest String CODEC(ZSTD(1)),
    head String CODEC(ZSTD(1)),
    bytes UInt64,
    data String CODEC(ZSTD(1)),
    written DateTime DEFAULT now()
) ENGINE = {Replicated}ReplacingMergeTree(written)
ORDER BY (project, digest)
TTL written + INTERVAL {days} DAY
SETTINGS index_granularity = 64
"""

_MEDIA_USES = """
CREATE TABLE IF NOT EXISTS media_uses {cluster} (
    project LowCardinality(String),
    session_id String CODEC(ZSTD(1)),
    digest String CODEC(ZSTD(1)),
    written DateTime DEFAULT now()
) ENGINE = {Replicated}ReplacingMergeTree(written)
ORDER BY (project, session_id, digest)
TTL written + INTERVAL {days} DAY
SETTINGS index_granularity = 1024
"""

MEDIA: Sequence[str] = (_MEDIA, _MEDIA_USES)
"""The fifth migration: media in base64, each once for a project, and who refers to them."""


def _of_one_session(query: str, columns: str) -> str:
    """What a view inserts into the table of sessions, for one session that is stored already."""
    select = query.partition("GROUP BY")[0]
    return (
        f"INSERT INTO sessions ({columns}) {select}"
        "WHERE project = {project:String} AND session_id = {session:String}\n"
        "GROUP BY project, session_id, month"
    )


SESSIONS_ANEW: Sequence[str] = (
    _of_one_session(
        _FACETED_SESSIONS,
        "project, session_id, month, own, first_turn, last_turn, last_user, told_start, own_end, "
        "turns_end, seen_start, seen_end, failed, folded, facets, written",
    ),
    _of_one_session(
        _FACETED_PATCHES, "project, session_id, month, failed, folded, facets, written"
    ),
)
"""Statements that write the rows of one session anew, after events were deleted from it."""
