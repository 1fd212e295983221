"""Media in every store: each once, by what records say of it, and gone with its last session."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from support.records import event, id_of, session_end, session_start

from sessiontrace.model.ids import new_id
from sessiontrace.store.clickhouse.connection import Query
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.media import limits
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.protocol import Store

pytestmark = pytest.mark.timeout(240)

CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 5_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
HEAD = hashlib.sha256(CONTENT[: 1 << 20]).hexdigest()
WHOLE, LONG = (DIGEST, -1), (HEAD, len(CONTENT))
STORED = {"media_type": "image/png", "bytes": len(CONTENT), "sha256": DIGEST, "stored": True}


def session(store: Store, **fields: Any) -> str:
    """A session that refers to the picture."""
    sid = new_id()
    store.write([session_end(sid), event(sid, inputs={"image": STORED}, **fields)])
    return sid


def test_a_medium_is_stored_once_and_found_by_each_of_its_names(store: Store):
    """By its hash, and by the hash of its head with its size; not by the head alone."""
    assert store.stored_media([WHOLE, LONG]) == {}
    for _ in range(2):
        assert store.keep_media(LONG, [CONTENT[:99], CONTENT[99:]], MediaLimits()) == DIGEST
    assert store.stored_media([WHOLE, LONG, (HEAD, 5)]) == {WHOLE: DIGEST, LONG: DIGEST}
    assert store.medium(DIGEST) == CONTENT
    assert store.medium("0" * 64) is None
    assert store.media_size() == (1, len(CONTENT))


def test_what_is_refused_is_not_stored(store: Store):
    """Over the total, or under the hash of something else."""
    small = MediaLimits(total_bytes=len(CONTENT) - 1)
    assert store.keep_media(WHOLE, [CONTENT], small) == limits.OVER_TOTAL
    assert store.keep_media(WHOLE, [b"other"], MediaLimits()) == limits.UNREADABLE
    assert store.media_size() == (0, 0)


def test_a_medium_goes_with_the_last_session_that_refers_to_it(store: Store):
    """Also when its events have moved to another session meanwhile."""
    store.keep_media(WHOLE, [CONTENT], MediaLimits())
    first = session(store)
    source, target = new_id(), new_id()
    step = event(source, inputs={"image": STORED})
    store.write([session_start(source), step, session_end(target)])
    store.move(source, target, [id_of(step)])
    assert store.erase([first, source]).media == 0
    assert store.medium(DIGEST) == CONTENT
    erased = store.erase([target])
    assert (erased.media, erased.media_bytes) == (1, len(CONTENT))
    assert store.medium(DIGEST) is None
    assert store.media_size() == (0, 0)


def test_a_rule_says_what_it_would_delete(store: Store):
    """The page shows it before it changes the rule."""
    session(store)
    now = time.time_ns() // 1_000_000
    assert store.overdue(None, None).stored == 1
    assert store.overdue(now - 60_000, None).sessions == 0
    overdue = store.overdue(now + 60_000, None)
    assert (overdue.sessions, overdue.aged, overdue.oldest) == (1, 1, overdue.newest)
    assert store.database_days() in (None, 30.0)


def test_no_table_has_a_deleted_user_s_words_or_media(clickhouse: ClickHouseStore, engine: Any):
    """Every table of the database is read. The report says when the server removes the parts that
    the deletion has replaced.
    """
    line = engine.line()
    content = new_id().encode() * 100
    digest = hashlib.sha256(content).hexdigest()
    clickhouse.keep_media((digest, -1), [content], MediaLimits())
    word, image = f"zebra{new_id()[-8:]}", {**STORED, "bytes": len(content), "sha256": digest}
    sid = session(clickhouse, event_name=word, outputs={"text": f"the {word} said", "i": image})
    tables = [
        name
        for (name,) in line.query(
            Query(
                "SELECT name FROM system.tables WHERE database = currentDatabase() "
                "AND engine LIKE '%MergeTree'"
            )
        )
    ]
    needles = {"word": word, "session": sid, "digest": digest}

    def tables_with(needle: str) -> list[str]:
        condition = "position(toString(tuple(*)), {needle:String}) > 0"
        return [
            name
            for name in tables
            if line.query(
                Query(f"SELECT count() FROM {name} WHERE {condition}", {"needle": needle})
            )[0][0]
        ]

    assert {"events", "vocabulary"} <= set(tables_with(word))
    assert {"media", "media_uses"} <= set(tables_with(digest))
    erased = clickhouse.erase([sid])
    assert (erased.sessions, erased.media) == (1, 1)
    assert "old_parts_lifetime" in erased.remains
    assert {name: tables_with(needle) for name, needle in needles.items()} == {
        "word": [], "session": [], "digest": []
    }  # fmt: skip
    line.close()
