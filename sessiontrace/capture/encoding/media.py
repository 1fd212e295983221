"""Media inside values: a description replaces long base64 and binary.

Runs in the user's thread. Invariant: reads at most ``_HASHED`` bytes of a medium and never copies
it whole, so that a 100 MB picture costs no more than a 1 MB one.
"""

from __future__ import annotations

import binascii
import re
from typing import Any

from sessiontrace.model.lazy_pattern import lazy_pattern

__all__ = ["MEDIA_MIN", "is_media", "of_bytes", "of_text"]

MEDIA_MIN = 1_024
"""Shorter texts and byte strings are kept as they are."""

_UNNAMED_MIN = 4_096  # base64 without a header must be long to count as a medium
_HASHED = 1 << 20
_CHUNK = 1 << 16

_HEADER = lazy_pattern(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w=.+-]+)*);base64,")
_BASE64 = lazy_pattern(r"[A-Za-z0-9+/_-]{256}")
_BASE64_END = lazy_pattern(r"[A-Za-z0-9+/_-]{32,}={0,2}\s*\Z")

_WRAPPED = lazy_pattern(r"\s{0,64}([A-Za-z0-9+/_-]{16,1024})(\r?\n[ \t]*)[A-Za-z0-9+/_-]{16}")
_WIDTHS = frozenset({64, 76})  # of lines, in PEM and in MIME

_MAGIC = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_UNKNOWN = "application/octet-stream"


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
    if _sniff(_decoded(head)) != _UNKNOWN:
        return True
    if width and width not in _WIDTHS:
        return False
    # Long words and hexadecimal have few kinds of characters; base64 of anything has many.
    return len(text) >= _UNNAMED_MIN and len(set(head)) >= 24 and not head.isalpha()


def of_text(text: str) -> dict[str, Any]:
    """``{media_type, bytes, sha256}`` for a text that ``is_media``."""
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
    stop = min(len(text), start + _HASHED)
    carry = ""
    for at in range(start, stop, _CHUNK):
        chunk = carry + _joined(text[at : min(at + _CHUNK, stop)])
        whole = len(chunk) // 4 * 4 if at + _CHUNK < stop else len(chunk)
        digest.update(_decoded(chunk[:whole]))
        carry = chunk[whole:]
    media_type = header.group(1) if header else None
    sniffed = media_type or _sniff(_decoded(_joined(text[start : start + 128])[:64]))
    return _described(sniffed, size, len(text) - start, digest)


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
    return _described(_sniff(bytes(value[:64])), value.nbytes, value.nbytes, digest)


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


def _sniff(head: bytes) -> str:
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], _UNKNOWN)
    if head[4:8] == b"ftyp":
        return "video/mp4"
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    return _UNKNOWN
