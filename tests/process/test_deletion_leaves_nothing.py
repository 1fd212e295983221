"""After all sessions of a user are deleted, no file has a byte of their texts or media."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

import sessiontrace as st
from sessiontrace.cli import main
from sessiontrace.store.sqlite.store import SqliteStore

USERS = ("ada@example.org", "bob@example.org")


def picture(user: str) -> bytes:
    """A picture of a user, the same in every session of theirs."""
    return b"\x89PNG\r\n\x1a\n" + user.encode() * 200 + os.urandom(2_000)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """Two users' sessions, with texts, media and words for the index, recorded by a program."""
    pictures = {user: picture(user) for user in USERS}
    tracer = st.Tracer()
    tracer.init(st.Local(path=tmp_path / "store.db"), spool=str(tmp_path / "spool"))
    for number in range(6):
        user = USERS[number % 2]
        data = f"data:image/png;base64,{base64.b64encode(pictures[user]).decode()}"
        name = user.partition("@")[0]
        with tracer.session(f"chat of {name}", user=user) as session:
            session.set(inputs={"question": f"what does secret{name}{number} mean?"})
            with tracer.span("call", type="model") as span:
                span.set(inputs={"image": data, "raw": pictures[user]}, outputs=f"answer{name}")
    assert tracer.shutdown(30)
    store = SqliteStore(tmp_path / "store.db")
    while store.index():
        pass
    assert store.media_size()[0] == 2
    store.close()
    return tmp_path, pictures


def files_with(folder: Path, needle: bytes) -> list[str]:
    """The files below a folder that have these bytes."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in paths if needle in path.read_bytes()]


def traces_of(user: str, content: bytes) -> list[bytes]:
    name = user.partition("@")[0]
    pieces = [f"secret{name}", f"answer{name}", f"chat of {name}", user]
    encoded = base64.b64encode(content)
    return [*(piece.encode() for piece in pieces), content[100:400], encoded[400:700]]


def test_no_file_has_a_byte_of_a_deleted_user(
    recorded: tuple[Path, dict[str, bytes]], capsys: pytest.CaptureFixture[str]
):
    """Store, log, search index, media and spool are read byte by byte; the others stay."""
    folder, pictures = recorded
    ada, bob = USERS
    for user in USERS:
        found = [files_with(folder, needle) for needle in traces_of(user, pictures[user])]
        assert all(found[:5]), "what cannot be found cannot be missed"
        assert found[5] == [], "media are stored as bytes, not in base64"
    words = ["sessions", "delete", "--user", ada, "--yes", "--db", str(folder / "store.db")]
    assert main(words) == 0
    assert "deleted 3 sessions with 3 steps and 1 medium (" in capsys.readouterr().out
    assert [files_with(folder, needle) for needle in traces_of(ada, pictures[ada])] == [[]] * 6
    assert all(files_with(folder, needle) for needle in traces_of(bob, pictures[bob])[:5])
