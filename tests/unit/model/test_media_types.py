"""What bytes are decides how a browser may show them; what their sender claims never does."""

from __future__ import annotations

import pytest

from sessiontrace.model.media_types import INLINE, UNKNOWN, extension_of, media_type_of

HOSTILE = {
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "XML": b'<?xml version="1.0"?><svg onload="alert(1)"/>',
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "HTML behind a mark": b"\xef\xbb\xbf<html>",
    "HTML behind blanks": b"  \n<html>",
    "JavaScript": b"alert(document.cookie)",
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_may_run_has_no_type(content: bytes):
    """A browser that is served bytes without a type, and may not sniff, runs nothing."""
    assert media_type_of(content, later=True) == UNKNOWN
    assert UNKNOWN not in INLINE


@pytest.mark.parametrize(
    ("head", "media_type", "extension"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
        (b"RIFF\0\0\0\0WEBP", "image/webp", "webp"),
        (b"\0\0\0\x1cftypavif", "image/avif", "avif"),
        (b"\0\0\0\x1cftypM4A ", "audio/mp4", "m4a"),
        (b"\xff\xf3\x44", "audio/mpeg", "mp3"),
        (b"%PDF-1.7", "application/pdf", "pdf"),
        (b"GIF89a/*<script>", "image/gif", "gif"),
    ],
)
def test_a_format_is_known_by_its_first_bytes(head: bytes, media_type: str, extension: str):
    """A page plays what a model answered, whatever the library called it."""
    assert media_type_of(head, later=True) == media_type
    assert extension_of(media_type) == extension


def test_no_document_is_shown_inline():
    """A PDF may hold scripts and forms, a ZIP file anything: both are downloads."""
    assert not {"application/pdf", "image/svg+xml", "text/html", "application/zip"} & set(INLINE)
