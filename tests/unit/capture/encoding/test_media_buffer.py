"""Media wait in memory for the store: bounded, by reference, and only while a store is open."""

from __future__ import annotations

from base64 import b64encode

import pytest

from sessiontrace.capture.encoding import media, media_buffer
from sessiontrace.capture.encoding.encoder import encode
from sessiontrace.capture.encoding.media_buffer import BUFFER, MediaBuffer, immutable

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


def test_nothing_waits_while_no_store_is_open():
    """A program that sends to a vendor only keeps no picture alive."""
    buffer = MediaBuffer()
    buffer.offer("a", b"xyz", 3)
    assert buffer.content("a") is None


def test_the_last_store_empties_the_buffer():
    """Two tracers may share a process; each has its own limit."""
    buffer = MediaBuffer()
    buffer.open(10)
    buffer.open(5)
    buffer.offer("a", b"x" * 8, 8)
    buffer.close(10)
    assert (buffer.item_most, buffer.content("a")) == (5, b"x" * 8)
    buffer.close(5)
    assert (buffer.item_most, buffer.content("a")) == (0, None)


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch):
    """A burst of pictures costs bounded memory; their records then come without them."""
    monkeypatch.setattr(media_buffer, "ROOM", 10)
    monkeypatch.setattr(media_buffer, "MOST", 3)
    buffer = MediaBuffer()
    buffer.open(100)
    for name in "abcd":
        buffer.offer(name, b"x", 1)
    assert [buffer.content(name) for name in "abcd"] == [None, b"x", b"x", b"x"]
    buffer.offer("large", b"y" * 9, 9)
    assert [buffer.content(name) for name in "bcd"] == [None, None, b"x"]


def test_a_medium_that_no_record_asks_for_expires(monkeypatch: pytest.MonkeyPatch):
    """Its session was sampled out, or a redactor has replaced it."""
    buffer = MediaBuffer()
    buffer.open(100)
    buffer.offer("a", b"x", 1)
    now = media_buffer.time.monotonic()
    monkeypatch.setattr(media_buffer.time, "monotonic", lambda: now + 601)
    buffer.offer("b", b"y", 1)
    buffer.expire()
    assert (buffer.content("a"), buffer.content("b")) == (None, b"y")


@pytest.mark.parametrize(
    "value",
    [
        PNG,
        bytearray(PNG),
        memoryview(PNG),
        b64encode(PNG).decode(),
        "data:image/png;base64," + b64encode(PNG).decode(),
        b64encode(PNG * 700).decode(),
    ],
    ids=["bytes", "bytearray", "view", "base64", "data URL", "above a MiB"],
)
def test_what_capture_describes_can_be_read_whole(value: object):
    """The description in the record names exactly the bytes that wait."""
    import orjson

    BUFFER.open(10 << 20)
    try:
        described = orjson.loads(encode({"image": value}))["image"]
        chunks = media.waiting_content(media.key_of(described))
        assert chunks is not None
        content = b"".join(chunks)
        assert content in (PNG, PNG * 700)
        assert len(content) == described["bytes"]
    finally:
        BUFFER.close(10 << 20)


def test_what_the_program_may_change_is_copied():
    """A buffer is filled again with the next chunk before the store reads it."""
    chunk = bytearray(b"first")
    kept = immutable(memoryview(chunk))
    chunk[:] = b"later"
    assert kept == b"first"
    whole = b"never changes"
    assert immutable(memoryview(whole)) is whole
    assert immutable(memoryview(whole)[:5]) == b"never"
    assert immutable(memoryview(bytearray((4 << 20) + 1))) is None
