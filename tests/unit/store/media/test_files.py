"""The folder of media: whole files under the hash of their bytes, and no other name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiontrace.store.media.files import MediaFiles, is_digest


def test_a_medium_is_stored_once_by_its_hash(tmp_path: Path):
    """A picture that a chat repeats in every turn takes the room of one."""
    files = MediaFiles(tmp_path / "media")
    first = files.put([b"abc", b"def"])
    assert first == files.put([b"abcdef"]) == (hashlib.sha256(b"abcdef").hexdigest(), 6)
    assert files.read(first[0]) == b"abcdef"
    paths = [path for path in files.folder.rglob("*") if path.is_file()]
    assert [path.name for path in paths] == [first[0]]
    assert paths[0].stat().st_mode & 0o777 == 0o600
    assert files.folder.stat().st_mode & 0o777 == 0o700


def test_what_is_interrupted_leaves_nothing(tmp_path: Path):
    """The disk is full, or the content cannot be decoded halfway."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("no space")

    files = MediaFiles(tmp_path)
    with pytest.raises(OSError, match="no space"):
        files.put(broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, "g" * 64, "a" * 63])
def test_only_a_hash_names_a_file(tmp_path: Path, name: str):
    """The name comes from a URL."""
    assert not is_digest(name)
    assert MediaFiles(tmp_path).read(name) is None


def test_what_is_removed_is_gone_with_its_folder(tmp_path: Path):
    """Removing twice is no error: another process may have been faster."""
    files = MediaFiles(tmp_path)
    digest, _ = files.put([b"x"])
    files.remove([digest])
    files.remove([digest])
    assert files.read(digest) is None
    assert os.listdir(tmp_path) == []
