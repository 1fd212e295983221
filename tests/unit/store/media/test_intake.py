"""Media on their way into a store: written first, refused with a reason, never in the way."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.records import event, id_of, session_end

from sessiontrace.model.ids import new_id
from sessiontrace.store.media import limits
from sessiontrace.store.media.intake import MediaIntake
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.media.references import Key
from sessiontrace.store.sqlite.store import SqliteStore

ONE, TWO = b"one picture", b"another one"


def described(content: bytes, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"media_type": "image/png", "bytes": len(content), "sha256": digest, **more}


class Waiting:
    """What waits in memory, and what was counted."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {(hashlib.sha256(item).hexdigest(), -1): item for item in contents}
        self.counts: Counter[str] = Counter()
        self.dropped: list[Key] = []

    def content(self, key: Key) -> Iterator[bytes] | None:
        content = self.contents.get(key)
        return None if content is None else iter([content[:4], content[4:]])

    def intake(self, limit: MediaLimits | None = None) -> MediaIntake:
        return MediaIntake(
            limit or MediaLimits(),
            self.content,
            self.dropped.append,
            lambda reason: self.counts.update([reason]),
            counts_missing=True,
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db")
    yield store
    store.close()


def written(store: SqliteStore, intake: MediaIntake, *contents: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a step with these contents, as the store has them."""
    sid = new_id()
    step = event(sid, inputs={"items": list(contents)})
    store.write(intake.store_media(store, [session_end(sid), step]))
    stored = store.event(id_of(step))
    assert stored is not None
    items: dict[str, Any] = stored["inputs"]["items"]
    return items


def test_a_medium_is_stored_before_its_record(store: SqliteStore):
    """Each once, whatever number of records and sessions refer to it."""
    waiting = Waiting(ONE, TWO)
    intake = waiting.intake()
    expected = [described(ONE, stored=True), described(TWO, stored=True)]
    assert written(store, intake, described(ONE), described(TWO)) == expected
    waiting.contents.clear()
    assert written(store, intake, described(ONE)) == expected[:1]
    assert store.media_size() == (2, len(ONE + TWO))
    assert store.medium(described(ONE)["sha256"]) == ONE
    assert waiting.counts == Counter()
    assert len(set(waiting.dropped)) == 2


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (MediaLimits(item_bytes=len(ONE) - 1), limits.TOO_LARGE),
        (MediaLimits(total_bytes=len(ONE) - 1), limits.OVER_TOTAL),
    ],
)
def test_what_is_over_a_limit_is_counted_once(store: SqliteStore, limit: MediaLimits, reason: str):
    """The record is stored with the description alone; the folder stays as it was."""
    waiting = Waiting(ONE)
    intake = waiting.intake(limit)
    for _ in range(2):
        assert written(store, intake, described(ONE)) == [described(ONE)]
    assert waiting.counts == {reason: 1}
    assert store.media_size() == (0, 0)
    assert store.medium(described(ONE)["sha256"]) is None


def test_what_no_longer_waits_is_a_loss(store: SqliteStore):
    """The process that recorded it was killed before the medium was written."""
    waiting = Waiting()
    assert written(store, waiting.intake(), described(ONE)) == [described(ONE)]
    assert waiting.counts == {limits.GONE: 1}


def test_content_of_another_hash_is_refused(store: SqliteStore):
    """A text that looked like base64; bytes are never stored under the hash of others."""
    waiting = Waiting(ONE)
    waiting.contents[described(ONE)["sha256"], -1] = TWO
    assert written(store, waiting.intake(), described(ONE)) == [described(ONE)]
    assert waiting.counts == {limits.UNREADABLE: 1}
    assert store.medium(described(TWO)["sha256"]) is None


def test_a_disk_that_takes_no_file_holds_no_record_back(store: SqliteStore):
    """The folder cannot be created: a file has its name."""
    store.open()
    store.path.with_name("store.db.media").write_bytes(b"")
    waiting = Waiting(ONE)
    assert written(store, waiting.intake(), described(ONE)) == [described(ONE)]
    assert waiting.counts == {limits.NOT_WRITTEN: 1}
    assert waiting.dropped == []


def test_a_long_medium_is_known_by_its_head_again(store: SqliteStore):
    """The SDK hashes the first MiB only; the store knows the whole from then on."""
    content = bytes(range(256)) * 4_100
    head = hashlib.sha256(content[: 1 << 20]).hexdigest()
    said = {"media_type": "image/png", "bytes": len(content), "sha256_of_head": head}
    waiting = Waiting()
    waiting.contents[head, len(content)] = content
    assert written(store, waiting.intake(), said) == [described(content, stored=True)]
    waiting.contents.clear()
    assert written(store, waiting.intake(), said) == [described(content, stored=True)]
