"""Media inside values: their type, size and hash are recorded, not their bytes."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

import orjson
import pytest

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
