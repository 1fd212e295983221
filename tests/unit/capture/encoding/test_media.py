"""Media inside values: their type, size and hash are recorded, not their bytes."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode, encodebytes
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from sessiontrace.capture.encoding import media
from sessiontrace.capture.encoding.encoder import CAP, encode


def decoded(value: object, cap: int = CAP) -> Any:
    encoded = encode(value, cap)
    assert len(encoded) <= cap
    return orjson.loads(encoded)


def test_media_becomes_what_it_is() -> None:
    """A picture in base64 would drown the trace; its type, size and hash say all that helps."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
    expected = {
        "media_type": "image/png",
        "bytes": len(picture),
        "sha256": hashlib.sha256(picture).hexdigest(),
    }
    bare = b64encode(picture).decode()
    assert decoded(f"data:image/png;base64,{bare}") == expected
    assert decoded({"type": "base64", "data": bare})["data"] == expected
    assert decoded(picture) == expected
    assert decoded([{"image_url": {"url": f"data:image/jpeg;base64,{bare}"}}, object()])[0] == {
        "image_url": {"url": {**expected, "media_type": "image/jpeg"}}
    }


@pytest.mark.parametrize(
    "text",
    ["x" * 5_000, "0123456789abcdef" * 400, "word " * 2_000, "a/b/c/" * 1_000, "data: x" * 400],
    ids=["one letter", "hexadecimal", "words", "paths", "not a URI"],
)
def test_long_text_is_not_taken_for_media(text: str) -> None:
    """Only what is certainly base64 may be replaced by its hash."""
    assert decoded(text) == text


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\n" + text.replace("\n", "\n    "),
        lambda text: "data:image/png;base64,\n" + text,
    ],
    ids=["lines", "CRLF", "indented", "data URI"],
)
def test_base64_with_line_breaks_is_media_too(wrap: Callable[[str], str]) -> None:
    """``base64.encodebytes``, e-mails and configuration files break base64 into lines."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
    assert decoded(wrap(encodebytes(picture).decode())) == {
        "media_type": "image/png",
        "bytes": len(picture),
        "sha256": hashlib.sha256(picture).hexdigest(),
    }


def test_lines_of_names_are_not_taken_for_media() -> None:
    """A list of identifiers, one a line, is what a search returns."""
    names = "\n".join(f"{hashlib.sha256(bytes([n])).hexdigest()[:40]}" for n in range(200))
    paths = "\n".join(f"src/package{n}/Module/with/a/long/Path/of/directories" for n in range(200))
    assert decoded(names) == names
    assert decoded(paths) == paths


@pytest.mark.parametrize("size", [10_000, 2_000_000], ids=["short", "above a MiB"])
def test_a_picture_that_a_chat_repeats_is_described_once(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Every call of an agent sends it again; another picture of the same length is another one."""
    picture = b"\x89PNG\r\n\x1a\n" + os.urandom(size)
    texts = [b64encode(content).decode() for content in (picture, picture[:50] + b"!" * size)]
    described = [decoded(text[: len(texts[0])]) for text in texts]
    assert described[0] != described[1]

    def fail(*_: object) -> None:
        raise AssertionError("described again")

    monkeypatch.setattr(media, "_described", fail)
    assert [decoded(f"{text[: len(texts[0])]}") for text in texts] == described
