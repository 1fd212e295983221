"""Pictures and sounds on the page and in an exported file, and what the store holds in a dialog."""

from __future__ import annotations

import hashlib
import io
import sqlite3
import struct
import wave
import zlib
from pathlib import Path
from typing import Any

import pytest
from support.axe import axe_source, faults
from support.browser import MARKS, Page, eventually
from support.records import T0, event, id_of, session_end, write

from sessiontrace.cli import main
from sessiontrace.model.ids import new_id
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = MARKS


def png() -> bytes:
    """A red square of 8 by 8 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\xff\0\0" * 8) * 8)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def wav() -> bytes:
    """A tenth of a second of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(1_600))
    return file.getvalue()


PDF = b"%PDF-1.7\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def media(db: Path) -> dict[str, str]:
    """A session whose call has a picture and a document, and answers with a sound."""
    sid = new_id()
    store = SqliteStore(db)
    described: list[dict[str, Any]] = []
    for media_type, content in (
        ("image/png", png()), ("audio/wav", wav()), ("application/pdf", PDF), ("image/svg+xml", SVG)
    ):  # fmt: skip
        digest = hashlib.sha256(content).hexdigest()
        store.keep_media((digest, -1), [content], MediaLimits())
        described.append(
            {"media_type": media_type, "bytes": len(content), "sha256": digest, "stored": True}
        )
    store.close()
    picture, sound, document, drawing = described
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": picture}},
        {"type": "document", "source": document},
        {"type": "image", "source": drawing},
    ]
    call = event(
        sid, T0 + 10, 50, event_type="model", event_name="call",
        inputs={"chat_history": [{"role": "user", "content": parts}]},
        outputs={"role": "assistant", "content": "A square.", "audio": sound},
    )  # fmt: skip
    write(db, session_end(sid), call)
    return {"sid": sid, "call": id_of(call)}


def test_a_picture_is_shown_and_a_sound_can_be_played(page: Page, media: dict[str, str]):
    """What a browser may not run is a download; axe finds nothing in either scheme."""
    for width, scheme in ((1400, "light"), (390, "dark")):
        page.size(width)
        page.scheme(scheme)
        page.open()
        page.open(f"/sessions/{media['sid']}?view=tree#{media['call']}")
        page.click(".who .name", 1)
        page.see("figure.medium img")
        eventually(
            lambda: page.run("return document.querySelector('figure.medium img').naturalWidth") == 8
        )
        page.one("figure.medium audio[controls][aria-label]")
        eventually(lambda: page.run("return document.querySelector('audio').duration > 0"))
        links = page.texts("figure.medium figcaption a")
        assert sorted(links) == ["Download file", "Download picture", "Download picture",
                                 "Download sound"]  # fmt: skip
        assert page.count("figure.medium img") == 1
        assert faults(page, axe_source()) == []


def test_an_exported_file_holds_its_media(browser: Any, db: Path, media: dict[str, str]):
    """It is shown without a server, and each medium is in the file once."""
    target = db.with_name("out.html")
    words = ["export", media["sid"], "--db", str(db), "--format", "html", "-o", str(target)]
    assert main(words) == 0
    browser.get(target.as_uri())
    browser.execute_script("for (const e of document.querySelectorAll('details')) e.open = true")
    width = "return document.querySelector('img').naturalWidth"
    eventually(lambda: browser.execute_script(width) == 8)
    assert len(browser.find_elements("css selector", "img")) == 1
    assert len(browser.find_elements("css selector", "audio[controls]")) == 1
    assert len(browser.find_elements("css selector", "a[download]")) == 2
    assert browser.get_log("browser") == []


def test_retention_is_changed_with_what_it_deletes_in_view(page: Page, db: Path):
    """Nothing is changed before the reader has seen the number."""
    write(db, *[session_end(new_id()) for _ in range(3)])
    connection = sqlite3.connect(db)
    with connection:
        connection.execute("UPDATE sessions SET written = written - 10 * 86400000 WHERE id < 3")
    connection.close()
    page.open("/")
    page.click("header.top button")
    page.see("dialog.storage form")
    days = page.one("dialog.storage input")
    days.clear()
    days.send_keys("7")
    page.click("dialog.storage button[type=submit]")
    page.until("dialog.storage button.danger", ["Set, and delete 2 sessions"])
    page.size(390)
    assert page.texts("dialog.storage [role=status]")[0].startswith(
        "This deletes 2 sessions for their age, last written from "
    )
    assert faults(page, axe_source()) == []
    assert page.server.json("/api/retention")["rule"]["days"] == 30.0
