"""The versions of the SQLite file: the statements that bring each to the next.

Values, no thread owns them. Invariant: the statements of a released version never change; a change
of the tables is a new version.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["MIGRATIONS"]

_FIRST = (
    """
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL UNIQUE,
        name TEXT, source TEXT, user TEXT,
        start_time INTEGER, end_time INTEGER, duration REAL,
        status TEXT NOT NULL, error TEXT,
        events INTEGER NOT NULL, errors INTEGER NOT NULL, models INTEGER NOT NULL,
        tokens INTEGER NOT NULL, cost_nano INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        folded TEXT NOT NULL,
        state TEXT NOT NULL
    )
    """,
    "CREATE INDEX sessions_by_start ON sessions (start_time, session_id)",
    "CREATE INDEX sessions_failed ON sessions (start_time, session_id) WHERE failed",
    """
    CREATE TABLE session_records (
        session_id TEXT PRIMARY KEY REFERENCES sessions (session_id) ON DELETE CASCADE,
        body TEXT, patch TEXT
    )
    """,
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL UNIQUE,
        session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
        parent_id TEXT, type TEXT NOT NULL, name TEXT NOT NULL,
        start_time INTEGER, end_time INTEGER, duration REAL,
        status TEXT NOT NULL, turn INTEGER NOT NULL, error TEXT,
        tokens INTEGER NOT NULL, cost_nano INTEGER NOT NULL,
        rank INTEGER NOT NULL,
        body TEXT, patch TEXT
    )
    """,
    "CREATE INDEX events_by_session ON events (session_id, start_time)",
)

# Triggers queue what the search index has still to read, whichever process wrote it: ids of events
# as they are, rowids of session records negative. They check for the row first, because the
# conflict policy of an upsert overrides an OR IGNORE in a trigger. The server of the store fills
# the index.
_SECOND = (
    "CREATE INDEX events_by_start ON events (start_time)",
    "ALTER TABLE sessions ADD COLUMN written INTEGER NOT NULL DEFAULT 0",
    "UPDATE sessions SET written = CAST(strftime('%s', 'now') AS INTEGER) * 1000",
    "CREATE INDEX sessions_by_written ON sessions (written)",
    """
    CREATE TABLE notes (
        kind TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX notes_by_time ON notes (kind, at, id)",
    "CREATE VIRTUAL TABLE search USING fts5 (text, content = '', detail = none)",
    """
    CREATE TABLE search_documents (
        document INTEGER PRIMARY KEY AUTOINCREMENT,
        session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX search_documents_by_session ON search_documents (session)",
    "CREATE TABLE search_queue (id INTEGER PRIMARY KEY)",
    """
    CREATE TRIGGER events_written AFTER INSERT ON events BEGIN
        INSERT INTO search_queue SELECT new.id
        WHERE new.id NOT IN (SELECT id FROM search_queue);
    END
    """,
    """
    CREATE TRIGGER events_changed AFTER UPDATE ON events
    WHEN new.body IS NOT old.body OR new.patch IS NOT old.patch BEGIN
        INSERT INTO search_queue SELECT new.id
        WHERE new.id NOT IN (SELECT id FROM search_queue);
    END
    """,
    """
    CREATE TRIGGER records_written AFTER INSERT ON session_records BEGIN
        INSERT INTO search_queue SELECT -new.rowid
        WHERE -new.rowid NOT IN (SELECT id FROM search_queue);
    END
    """,
    """
    CREATE TRIGGER records_changed AFTER UPDATE ON session_records
    WHEN new.body IS NOT old.body OR new.patch IS NOT old.patch BEGIN
        INSERT INTO search_queue SELECT -new.rowid
        WHERE -new.rowid NOT IN (SELECT id FROM search_queue);
    END
    """,
    "INSERT INTO search_queue SELECT id FROM events",
    "INSERT INTO search_queue SELECT -rowid FROM session_records",
)

# ``scored`` is NULL until the scores of the session's events were read. Deleting takes an id out of
# the queue, so that writing does not have to check whether the id is there.
_THIRD = (
    "ALTER TABLE sessions ADD COLUMN scores TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE sessions ADD COLUMN scored TEXT",
    "DELETE FROM search_queue WHERE id > 0 AND id NOT IN (SELECT id FROM events)",
    "DELETE FROM search_queue WHERE id < 0 AND -id NOT IN (SELECT rowid FROM session_records)",
    "DROP TRIGGER events_written",
    "DROP TRIGGER records_written",
    """
    CREATE TRIGGER events_written AFTER INSERT ON events BEGIN
        INSERT INTO search_queue VALUES (new.id);
    END
    """,
    """
    CREATE TRIGGER events_deleted AFTER DELETE ON events BEGIN
        DELETE FROM search_queue WHERE id = old.id;
    END
    """,
    """
    CREATE TRIGGER records_written AFTER INSERT ON session_records BEGIN
        INSERT INTO search_queue VALUES (-new.rowid);
    END
    """,
    """
    CREATE TRIGGER records_deleted AFTER DELETE ON session_records BEGIN
        DELETE FROM search_queue WHERE id = -old.rowid;
    END
    """,
)

# Rows behind ``upto`` are new to the search index and need no queue: a trigger would make every
# insert of an event keep a journal of its own. The queue is for what was changed after
# it was read. A deletion takes ``upto`` back, since SQLite gives the last rows' numbers again.
_FOURTH = (
    """
    CREATE TABLE search_progress (
        one INTEGER PRIMARY KEY CHECK (one = 1), upto INTEGER NOT NULL
    )
    """,
    "INSERT INTO search_progress SELECT 1, coalesce(max(id), 0) FROM events",
    "DROP TRIGGER events_written",
    "DROP TRIGGER events_changed",
    """
    CREATE TRIGGER events_changed AFTER UPDATE ON events
    WHEN (new.body IS NOT old.body OR new.patch IS NOT old.patch)
        AND new.id <= (SELECT upto FROM search_progress) BEGIN
        INSERT INTO search_queue SELECT new.id
        WHERE new.id NOT IN (SELECT id FROM search_queue);
    END
    """,
    "DROP TRIGGER IF EXISTS events_deleted",  # early files of version 3 have none
    """
    CREATE TRIGGER events_deleted AFTER DELETE ON events BEGIN
        DELETE FROM search_queue WHERE id = old.id;
        UPDATE search_progress SET upto = (SELECT coalesce(max(id), 0) FROM events)
        WHERE upto > (SELECT coalesce(max(id), 0) FROM events);
    END
    """,
)

# ``events.unpriced`` is NULL in rows of earlier versions: to set it would rewrite all their bodies.
_FIFTH = (
    "ALTER TABLE sessions ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE events ADD COLUMN unpriced INTEGER",
    """
    UPDATE sessions SET unpriced = (
        SELECT count(*) FROM events WHERE events.session_id = sessions.session_id
            AND type = 'model' AND rank > 0 AND tokens > 0 AND cost_nano = 0
    ) WHERE models > 0 AND tokens > 0
    """,
)

# ``sessions_by_activity`` holds every column that a list filters or sorts by, so that it reads the
# rows of one page only. Facets of earlier sessions are gathered by the index pass and by the next
# write; until then their ids are in ``facet_queue``. The search index is filled again, because it
# reads more fields of a record now.
_SIXTH = (
    "ALTER TABLE sessions ADD COLUMN last_active INTEGER",
    "ALTER TABLE sessions ADD COLUMN outcome TEXT NOT NULL DEFAULT 'open'",
    "ALTER TABLE sessions ADD COLUMN facets TEXT NOT NULL DEFAULT ''",
    """
    UPDATE sessions SET
        last_active = max(
            coalesce(end_time, start_time), coalesce(json_extract(state, '$[6][1]'), 0)
        ),
        outcome = CASE WHEN status = 'ended' AND error IS NOT NULL THEN 'failed' ELSE status END
    WHERE start_time IS NOT NULL
    """,
    "DROP INDEX sessions_failed",
    """
    CREATE INDEX sessions_by_activity ON sessions (
        last_active, session_id, start_time, duration, outcome, failed, events, errors, tokens,
        cost_nano, user, name, source, folded, scores, facets
    )
    """,
    "CREATE TABLE facet_queue (session_id TEXT PRIMARY KEY) WITHOUT ROWID",
    "INSERT INTO facet_queue SELECT session_id FROM sessions",
    "INSERT INTO search (search) VALUES ('delete-all')",
    "DELETE FROM search_documents",
    "DELETE FROM sqlite_sequence WHERE name = 'search_documents'",
    "DELETE FROM search_queue",
    "UPDATE search_progress SET upto = 0",
    "INSERT INTO search_queue SELECT -rowid FROM session_records",
)

# ``rank`` is negative in an event that its parent shows as a part of itself (``gathered.FOLDED``).
_SEVENTH = (
    "CREATE INDEX calls_by_parent ON events (parent_id, start_time) "
    "WHERE type IN ('embedding', 'model')",
    "CREATE INDEX events_folded ON events (session_id) WHERE rank < 0",
)

# The bytes of media are files beside the store. ``head``: the hash of the first MiB of a long one,
# by which records of the SDK name it.
_MEDIA = (
    """
    CREATE TABLE media (
        digest TEXT PRIMARY KEY, head TEXT, bytes INTEGER NOT NULL, at INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX media_by_head ON media (head) WHERE head IS NOT NULL",
    """
    CREATE TABLE media_uses (
        session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        PRIMARY KEY (session_id, digest)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX media_uses_by_digest ON media_uses (digest)",
)

# ``judged`` is empty, or the labels of the session and its steps and its reviewer, as JSON.
_JUDGED = ("ALTER TABLE sessions ADD COLUMN judged TEXT NOT NULL DEFAULT ''",)

# What a dashboard reads: a session's measures, and those of its calls by model. Numbers in a text
# are microseconds, and ``at`` is the session's last activity. ``sessions_measured`` and the key of
# ``session_models`` are in the order in which a dashboard sums up.
_TEXT_OF = """
    coalesce(
        nullif(json_extract(patch, '$.config.model'), ''),
        nullif(json_extract(body, '$.config.model'), ''),
        nullif(json_extract(patch, '$.metadata.response_model'), ''),
        nullif(json_extract(body, '$.metadata.response_model'), ''), ''
    )
"""
_CHUNK_OF = """
    CASE WHEN instr(body, '"time_to_first_chunk_ms"') > 0
    THEN json_extract(body, '$.metrics.time_to_first_chunk_ms') END
"""
_MEASURES = (
    "ALTER TABLE sessions ADD COLUMN tags TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sessions ADD COLUMN first_chunks TEXT NOT NULL DEFAULT ''",
    "UPDATE sessions SET tags = tags_in(facets) WHERE instr(facets, char(10) || 'tag=') > 0",
    """
    CREATE TABLE session_models (
        model TEXT NOT NULL,
        at INTEGER NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        calls INTEGER NOT NULL, errors INTEGER NOT NULL, tokens INTEGER NOT NULL,
        cost_nano INTEGER NOT NULL, unpriced INTEGER NOT NULL,
        latencies TEXT NOT NULL, first_chunks TEXT NOT NULL,
        PRIMARY KEY (model, at, session)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX session_models_by_session ON session_models (session)",
    f"""
    INSERT INTO session_models
    SELECT
        substr({_TEXT_OF}, 1, 200) AS model, coalesce(last_active, 0), sessions.id, count(*),
        sum(events.error IS NOT NULL),
        sum(events.tokens), sum(events.cost_nano),
        sum(coalesce(events.unpriced, events.tokens > 0 AND events.cost_nano = 0)),
        coalesce(group_concat(CAST(round(events.duration * 1000) AS INTEGER)), ''),
        coalesce(group_concat(CAST(round({_CHUNK_OF} * 1000) AS INTEGER)), '')
    FROM events JOIN sessions ON sessions.session_id = events.session_id
    WHERE type IN ('embedding', 'model') AND rank > 0
    GROUP BY sessions.id, 1
    """,  # noqa: S608 - from above
    """
    UPDATE sessions SET first_chunks = coalesce((
        SELECT group_concat(nullif(session_models.first_chunks, '')) FROM session_models
        WHERE session = sessions.id
    ), '') WHERE id IN (SELECT session FROM session_models WHERE session_models.first_chunks != '')
    """,
    """
    CREATE INDEX sessions_measured ON sessions (
        last_active, failed, events, errors, models, tokens, cost_nano, unpriced, duration,
        name, user, source, first_chunks, tags
    )
    """,
)

# What a dashboard reads without any filter: figures of whole hours and days, by value of a
# dimension, of all sessions where the dimension is empty. ``width`` is in hours, and ``start``
# counts such widths since 1970. ``latencies`` and ``first_chunks`` are microseconds in ascending
# order. ``unsummed`` has the other hours and days with sessions; to begin with, all of them.
# ``changes`` counts writes of their sessions, the last of them ``changed`` (Unix ms). Sessions that
# are counted one by one come from ``sessions_by_activity`` alone.
_HOURS = (
    "DROP INDEX sessions_measured",
    "DROP INDEX sessions_by_activity",
    """
    CREATE INDEX sessions_by_activity ON sessions (
        last_active, session_id, start_time, duration, outcome, failed, events, errors, models,
        tokens, cost_nano, unpriced, user, name, source, folded, scores, tags, facets, first_chunks
    )
    """,
    "DROP INDEX session_models_by_session",
    "ALTER TABLE session_models RENAME TO session_models_by_time",
    """
    CREATE TABLE session_models (
        session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        model TEXT NOT NULL,
        calls INTEGER NOT NULL, errors INTEGER NOT NULL, tokens INTEGER NOT NULL,
        cost_nano INTEGER NOT NULL, unpriced INTEGER NOT NULL,
        latencies TEXT NOT NULL, first_chunks TEXT NOT NULL,
        PRIMARY KEY (session, model)
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO session_models
    SELECT session, model, calls, errors, tokens, cost_nano, unpriced, latencies, first_chunks
    FROM session_models_by_time ORDER BY session, model
    """,
    "DROP TABLE session_models_by_time",
    """
    CREATE TABLE summed_figures (
        width INTEGER NOT NULL, dimension TEXT NOT NULL, start INTEGER NOT NULL,
        value TEXT NOT NULL,
        sessions INTEGER NOT NULL, failed INTEGER NOT NULL, steps INTEGER NOT NULL,
        errors INTEGER NOT NULL, calls INTEGER NOT NULL, tokens INTEGER NOT NULL,
        cost_nano INTEGER NOT NULL, unpriced INTEGER NOT NULL,
        latencies BLOB NOT NULL, first_chunks BLOB NOT NULL,
        PRIMARY KEY (width, dimension, start, value)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE unsummed (
        width INTEGER NOT NULL, start INTEGER NOT NULL,
        changes INTEGER NOT NULL, changed INTEGER NOT NULL,
        PRIMARY KEY (width, start)
    ) WITHOUT ROWID
    """,
    *(
        f"""
        INSERT INTO unsummed
        SELECT {width}, last_active / ({width} * 3600000), count(*), 0 FROM sessions
        WHERE last_active IS NOT NULL GROUP BY 2
        """  # noqa: S608 - from above
        for width in (1, 24)
    ),
    """
    CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions WHEN old.last_active IS NOT NULL BEGIN
        DELETE FROM summed_figures WHERE width = 1 AND start = old.last_active / 3600000
            AND dimension IN ('', 'model', 'name', 'source', 'tag');
        DELETE FROM summed_figures WHERE width = 24 AND start = old.last_active / 86400000
            AND dimension IN ('', 'model', 'name', 'source', 'tag');
        INSERT INTO unsummed VALUES
            (1, old.last_active / 3600000, 1, CAST(strftime('%s', 'now') AS INTEGER) * 1000),
            (24, old.last_active / 86400000, 1, CAST(strftime('%s', 'now') AS INTEGER) * 1000)
        ON CONFLICT (width, start) DO UPDATE
        SET changes = changes + 1, changed = excluded.changed;
    END
    """,
)

MIGRATIONS: Sequence[Sequence[str]] = (
    _FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH, _SEVENTH, _MEDIA,
    _JUDGED, _MEASURES, _HOURS,
)  # fmt: skip
"""``MIGRATIONS[n]`` are the statements that bring version n to version n + 1."""
