"""Limits of media on a local destination: from arguments and environment, and checked at init."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace.capture.encoding.media_buffer import BUFFER
from sessiontrace.config import resolve
from sessiontrace.model.errors import ConfigError
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore

PNG = b"\x89PNG\r\n\x1a\n" + os.urandom(3_000)


def local(env: dict[str, str] | None = None, **options: Any) -> Any:
    (destination,), _ = resolve((st.Local(path=Path("x.db"), **options),), {}, env or {})
    return destination


def test_limits_come_from_arguments_then_from_the_environment():
    """As every other option."""
    assert (local().media_item, local().media_total) == (16 << 20, 1 << 30)
    env = {"SESSIONTRACE_MEDIA_ITEM": "5", "SESSIONTRACE_MEDIA_TOTAL": "50"}
    assert (local(env).media_item, local(env).media_total) == (5, 50)
    assert local(env, media_item=7).media_item == 7


@pytest.mark.parametrize(
    ("env", "options"),
    [
        ({"SESSIONTRACE_MEDIA_ITEM": "16 MiB"}, {}),
        ({}, {"media_total": 0}),
        ({}, {"media_item": "1"}),
    ],
)
def test_a_limit_that_cannot_be_is_refused(env: dict[str, str], options: dict[str, Any]):
    """The message names the way to store none."""
    with pytest.raises(ConfigError, match=r'init\(media="digest"\) stores no media'):
        local(env, **options)


def test_media_is_keep_or_digest():
    """A typo is a clear error."""
    with pytest.raises(ConfigError, match="must be 'keep' or 'digest'"):
        resolve((st.Local(path=Path("x.db")),), {"media": "none"}, {})


@pytest.mark.parametrize("media", ["keep", "digest"])
def test_a_program_stores_its_media_or_describes_them(tmp_path: Path, media: str):
    """A medium in a value that redaction replaced is not stored, and nothing waits afterwards."""

    def redact(field: str, value: Any) -> Any:
        return {**value, "photo": "removed"} if "photo" in value else value

    tracer = st.Tracer()
    path = tmp_path / "store.db"
    tracer.init(st.Local(path=path), spool=str(tmp_path / "spool"), media=media, redact=redact)
    photo = PNG + b"a face"
    with tracer.session("chat"):
        with tracer.span("call") as span:
            span.set(inputs={"image": PNG, "photo": photo})
    report = tracer.shutdown(30)
    assert report.complete
    assert report.stats.lost == {}
    assert BUFFER.item_most == 0
    store = SqliteStore(path)
    (summary,) = store.sessions(SessionQuery()).sessions
    stored = store.session(summary.session_id)
    assert stored is not None
    step = store.event(stored.events[0].event_id)
    assert step is not None
    digest = hashlib.sha256(PNG).hexdigest()
    mark = {"stored": True} if media == "keep" else {}
    described = {"media_type": "image/png", "bytes": len(PNG), "sha256": digest, **mark}
    assert step["inputs"] == {"image": described, "photo": "removed"}
    assert store.medium(digest) == (PNG if media == "keep" else None)
    assert store.medium(hashlib.sha256(photo).hexdigest()) is None
    store.close()


def test_a_medium_that_is_refused_is_a_loss_of_the_program(tmp_path: Path):
    """Its report says so, and the store has it for the page."""
    tracer = st.Tracer()
    tracer.init(st.Local(path=tmp_path / "s.db", media_item=100), spool=str(tmp_path / "spool"))
    with tracer.session("chat") as session:
        session.set(inputs={"image": PNG})
    assert dict(tracer.shutdown(30).stats.lost) == {"media too large": 1}
