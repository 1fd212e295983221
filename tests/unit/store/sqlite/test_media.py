"""Media leave the store with the last session that refers to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.records import event, id_of, session_end, session_start

from sessiontrace.model.ids import new_id
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.sqlite import media
from sessiontrace.store.sqlite.store import SqliteStore

PICTURE = b"\x89PNG\r\n\x1a\n a picture"
DIGEST = hashlib.sha256(PICTURE).hexdigest()
STORED = {"media_type": "image/png", "bytes": len(PICTURE), "sha256": DIGEST, "stored": True}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db")
    assert store.keep_media((DIGEST, -1), [PICTURE], MediaLimits()) == DIGEST
    yield store
    store.close()


def session(store: SqliteStore) -> str:
    """A session that refers to the picture."""
    sid = new_id()
    store.write([session_end(sid), event(sid, inputs={"image": STORED})])
    return sid


def test_a_medium_goes_with_its_last_session(store: SqliteStore):
    """The report says how many went, and how many bytes."""
    first, second = session(store), session(store)
    kept = store.erase([first])
    assert (kept.sessions, kept.media, store.medium(DIGEST)) == (1, 0, PICTURE)
    gone = store.erase([second])
    assert (gone.media, gone.media_bytes, gone.remains) == (1, len(PICTURE), "")
    assert store.medium(DIGEST) is None
    assert store.media_size() == (0, 0)


def test_retention_removes_media_too(store: SqliteStore):
    """What is deleted for its age leaves no files behind."""
    session(store)
    assert store.trim(1 << 62, None) == 1
    assert store.medium(DIGEST) is None


def test_a_medium_follows_its_events_into_another_session(store: SqliteStore):
    """Spans whose session turns out later are moved."""
    source, target = new_id(), new_id()
    step = event(source, inputs={"image": STORED})
    store.write([session_start(source), step, session_end(target)])
    store.move(source, target, [id_of(step)])
    store.erase([source])
    assert store.medium(DIGEST) == PICTURE
    store.erase([target])
    assert store.medium(DIGEST) is None


def test_a_record_that_claims_a_medium_gets_no_other(store: SqliteStore):
    """What the store does not have cannot be claimed, and claiming deletes nothing of others."""
    sid, other = new_id(), session(store)
    forged = {**STORED, "sha256": "f" * 64}
    store.write([session_end(sid), event(sid, inputs={"image": forged})])
    assert store.erase([sid]).media == 0
    assert store.medium(DIGEST) == PICTURE
    assert store.erase([other]).media == 1


def test_a_medium_that_no_record_has_claimed_goes_after_a_day(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    """The process died between writing the file and the record."""
    store.trim(0, None)
    assert store.medium(DIGEST) == PICTURE
    now = media.time.time_ns()
    monkeypatch.setattr(media.time, "time_ns", lambda: now + 90_000 * 10**9)
    store.trim(0, None)
    assert store.medium(DIGEST) is None


def test_a_file_that_cannot_be_deleted_is_reported(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    """The report never says that nothing is left where something is."""
    sid = session(store)

    def fail(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", fail)
    erased = store.erase([sid])
    assert (erased.sessions, erased.media) == (1, 0)
    assert erased.remains == "a file of media cannot be deleted: Permission denied"
    monkeypatch.undo()
    now = media.time.time_ns()
    monkeypatch.setattr(media.time, "time_ns", lambda: now + 90_000 * 10**9)
    store.trim(0, None)
    assert store.medium(DIGEST) is None
