"""Media inside values: a description replaces long base64 and binary.

Runs in the user's thread. Invariant: reads at most ``_HASHED`` bytes of a medium and never copies
it whole, so that a 100 MB picture costs no more than a 1 MB one.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sessiontrace.capture.encoding.media_buffer import BUFFER, Content, immutable
from sessiontrace.model.lazy_pattern import lazy_pattern
from sessiontrace.model.media_types import UNKNOWN, media_type_of

__all__ = [
    "MEDIA_MIN",
    "decoded_chunks",
    "is_media",
    "key_of",
    "of_bytes",
    "of_text",
    "waiting_content",
]

MEDIA_MIN = 1_024
"""Shorter texts and byte strings are kept as they are."""

_UNNAMED_MIN = 4_096  # base64 without a header must be long to count as a medium
_HASHED = 1 << 20
_CHUNK = 1 << 16
_STORED_CHUNK = 1 << 18  # characters or bytes that a store decodes at once

_recent: dict[tuple[int, int, str], dict[str, Any]] = {}
_RECENT_MOST = 256
_BEFORE_DATA = 1_024  # more than the header of a data URL and the blanks behind it

_HEADER = lazy_pattern(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w=.+-]+)*);base64,")
_BASE64 = lazy_pattern(r"[A-Za-z0-9+/_-]{256}")
_BASE64_END = lazy_pattern(r"[A-Za-z0-9+/_-]{32,}={0,2}\s*\Z")

_WRAPPED = lazy_pattern(r"\s{0,64}([A-Za-z0-9+/_-]{16,1024})(\r?\n[ \t]*)[A-Za-z0-9+/_-]{16}")
_WIDTHS = frozenset({64, 76})  # of lines, in PEM and in MIME


def is_media(text: str) -> bool:
    """Whether a text of at least ``MEDIA_MIN`` characters is a data URI or bare base64."""
    if text.startswith("data:"):
        return _HEADER.match(text, 0, 256) is not None
    head, width = text[:256], 0
    end = ""
    if _BASE64.fullmatch(head) is None:
        if "\n" not in head or (lines := _WRAPPED.match(text)) is None:
            return False
        width = len(lines[1])
        head, end = _joined(text[:512])[:256], _joined(text[-256:])[-64:]
        if _BASE64.fullmatch(head) is None or not _is_even(text, lines):
            return False
    if _BASE64_END.search(end or text[-64:]) is None:
        return False
    if media_type_of(_decoded(head)) != UNKNOWN:
        return True
    if width and width not in _WIDTHS:
        return False
    # Long words and hexadecimal have few kinds of characters; base64 of anything has many.
    return len(text) >= _UNNAMED_MIN and len(set(head)) >= 24 and not head.isalpha()


def of_text(text: str) -> dict[str, Any]:
    """``{media_type, bytes, sha256}`` for a text that ``is_media``.

    A chat repeats its pictures in every call: Python's own hash, which a text computes once, finds
    the description again. Of a long text it reads what the description is made of.
    """
    head = text if len(text) <= _HASHED else text[: _HASHED + _BEFORE_DATA]
    key = (hash(head), len(text), text[-64:])
    described = _recent.get(key)
    if described is None:
        described = _description(text)
        if len(_recent) >= _RECENT_MOST:
            _recent.clear()
        _recent[key] = described
    if BUFFER.item_most:
        BUFFER.offer(key_of(described), text, described["bytes"])
    return dict(described)


def _description(text: str) -> dict[str, Any]:
    header = _HEADER.match(text, 0, 256)
    start = header.end() if header else 0
    start += len(text[start : start + 64]) - len(text[start : start + 64].lstrip())
    end = text[-64:]
    characters = len(text) - start - (len(end) - len(end.rstrip()))
    lines = _WRAPPED.match(text, start)
    if lines is not None:
        characters -= characters // (len(lines[1]) + len(lines[2])) * len(lines[2])
    padding = end.rstrip()[-2:].count("=")
    size = (characters - padding) * 3 // 4
    import hashlib  # here: few programs record media, and importing it costs all of them

    digest = hashlib.sha256()
    for chunk in _decoded_chunks(text, start, min(len(text), start + _HASHED), _CHUNK):
        digest.update(chunk)
    media_type = header.group(1) if header else None
    sniffed = media_type or media_type_of(_decoded(_joined(text[start : start + 128])[:64]))
    return _described(sniffed, size, len(text) - start, digest)


def decoded_chunks(content: Content) -> Iterator[bytes]:
    """The bytes of a medium, some at a time, so that no other thread waits long."""
    if isinstance(content, str):
        header = _HEADER.match(content, 0, 256)
        yield from _decoded_chunks(
            content, header.end() if header else 0, len(content), _STORED_CHUNK
        )
    elif isinstance(content, bytes):
        for at in range(0, len(content), _STORED_CHUNK):
            yield content[at : at + _STORED_CHUNK]
    else:
        yield from content


def waiting_content(key: tuple[str, int]) -> Iterator[bytes] | None:
    """The bytes of a medium that waits in the buffer; None where it does not."""
    content = BUFFER.content(key)
    return None if content is None else decoded_chunks(content)


def _decoded_chunks(text: str, start: int, stop: int, step: int) -> Iterator[bytes]:
    carry = ""
    for at in range(start, stop, step):
        chunk = carry + _joined(text[at : min(at + step, stop)])
        whole = len(chunk) // 4 * 4 if at + step < stop else len(chunk)
        yield _decoded(chunk[:whole])
        carry = chunk[whole:]


def _is_even(text: str, lines: re.Match[str]) -> bool:
    """Whether the first lines all have the width of the first, as an encoder writes them."""
    start, width = lines.start(1), len(lines[1]) + len(lines[2])
    head = text[start : start + 4 * width].split("\n")[:-1]
    return len({len(line.strip()) for line in head}) == 1


def _joined(text: str) -> str:
    return "".join(text.split())


def of_bytes(value: memoryview) -> dict[str, Any]:
    """``{media_type, bytes, sha256}`` for bytes."""
    import hashlib

    digest = hashlib.sha256(value[:_HASHED])
    head = bytes(value[:64])
    described = _described(media_type_of(head), value.nbytes, value.nbytes, digest)
    if BUFFER.item_most >= value.nbytes:
        BUFFER.offer(key_of(described), immutable(value), value.nbytes)
    return described


def key_of(described: Mapping[str, Any]) -> tuple[str, int]:
    """The key in the buffer of what a description is about; the hash alone where it is of all."""
    whole = described.get("sha256")
    return (whole, -1) if whole else (described["sha256_of_head"], described["bytes"])


def _described(media_type: str, size: int, length: int, digest: Any) -> dict[str, Any]:
    name = "sha256" if length <= _HASHED else "sha256_of_head"
    return {"media_type": media_type, "bytes": size, name: digest.hexdigest()}


def _decoded(chunk: str) -> bytes:
    chunk = chunk.rstrip("=")
    chunk = chunk.replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(chunk[: len(chunk) // 4 * 4] + _tail(chunk))
    except ValueError:  # not base64 after its head
        return chunk.encode("ascii", "replace")


def _tail(chunk: str) -> str:
    tail = chunk[len(chunk) // 4 * 4 :]
    return tail + "=" * (4 - len(tail)) if len(tail) > 1 else ""
