"""The statements that create the tables of roll-ups.

Values, no thread owns them. Invariant: a row of ``rollups`` is replaced by a later one of its
session (``at``, ms); a session has settled when nothing was written of it since ``until`` in
``rollup_times``, and only then its row counts.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["CALL_COLUMNS", "COLUMNS", "ROLLUPS"]

CALL_COLUMNS: Sequence[str] = (
    "call_models", "call_counts", "call_errors", "call_tokens", "call_costs", "call_unpriced",
    "call_latencies", "call_chunks",
)  # fmt: skip
"""One entry for each model of a session, in each the same order; times are ``time_codes``."""

COLUMNS: Sequence[str] = (
    "session_id", "start", "active", "bad", "took", "name", "user", "source", "lasted", "outcome",
    "steps", "errors", "calls", "tokens", "cost_nano", "unpriced", "score_names", "score_sums",
    "score_counts", "score", "own_scores", "facets", "folded", *CALL_COLUMNS, "written", "at",
)  # fmt: skip
"""The columns of ``rollups`` but for the project."""

_ROLLUPS = """
CREATE TABLE IF NOT EXISTS rollups {cluster} (
    project LowCardinality(String),
    session_id String CODEC(ZSTD(1)),
    start UInt64 CODEC(Delta, ZSTD(1)),
    active UInt64 CODEC(Delta, ZSTD(1)),
    bad UInt8,
    took UInt64 CODEC(ZSTD(1)),
    name String CODEC(ZSTD(1)),
    user String CODEC(ZSTD(1)),
    source String CODEC(ZSTD(1)),
    lasted Float64 CODEC(ZSTD(1)),
    outcome LowCardinality(String),
    steps UInt64 CODEC(ZSTD(1)),
    errors UInt64 CODEC(ZSTD(1)),
    calls UInt64 CODEC(ZSTD(1)),
    tokens UInt64 CODEC(ZSTD(1)),
    cost_nano UInt64 CODEC(ZSTD(1)),
    unpriced UInt64 CODEC(ZSTD(1)),
    score_names Array(String) CODEC(ZSTD(1)),
    score_sums Array(Int64) CODEC(ZSTD(1)),
    score_counts Array(UInt64) CODEC(ZSTD(1)),
    score Float64 CODEC(ZSTD(1)),
    own_scores UInt8,
    facets Array(String) CODEC(ZSTD(1)),
    models Array(String) DEFAULT arrayFilter(facet -> startsWith(facet, 'model='), facets)
        CODEC(ZSTD(1)),
    tags Array(String) DEFAULT arrayFilter(facet -> startsWith(facet, 'tag='), facets)
        CODEC(ZSTD(1)),
    folded Array(String) CODEC(ZSTD(1)),
    call_models Array(String) CODEC(ZSTD(1)),
    call_counts Array(UInt64) CODEC(ZSTD(1)),
    call_errors Array(UInt64) CODEC(ZSTD(1)),
    call_tokens Array(UInt64) CODEC(ZSTD(1)),
    call_costs Array(UInt64) CODEC(ZSTD(1)),
    call_unpriced Array(UInt64) CODEC(ZSTD(1)),
    call_latencies Array(Array(UInt16)) CODEC(ZSTD(1)),
    call_chunks Array(Array(UInt16)) CODEC(ZSTD(1)),
    written DateTime CODEC(ZSTD(1)),
    at UInt64 CODEC(ZSTD(1))
) ENGINE = {Replicated}ReplacingMergeTree(at)
ORDER BY (project, session_id)
TTL written + INTERVAL {days} DAY
SETTINGS index_granularity = 1024
"""

_TIMES = """
CREATE TABLE IF NOT EXISTS rollup_times {cluster} (
    project LowCardinality(String),
    until DateTime
) ENGINE = {Replicated}ReplacingMergeTree(until)
ORDER BY project
"""

ROLLUPS: Sequence[str] = (_ROLLUPS, _TIMES)
"""The seventh migration. The tables are filled afterwards, session by session (``filling``)."""
