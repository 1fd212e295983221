"""What a medium is, by its first bytes, and how a browser may show it.

Pure values. Invariant: the type that is served comes from the bytes, never from what a sender
claims; a type that is not in ``INLINE`` is offered as a download. SVG and HTML are not recognised:
they are text that runs scripts, and are served as bytes without a type.
"""

from __future__ import annotations

__all__ = ["INLINE", "UNKNOWN", "extension_of", "media_type_of"]

UNKNOWN = "application/octet-stream"

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

# For serving only: what a record says of a medium must not change with the version.
_LATER_MAGIC = (
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
)
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"qt  ": "video/quicktime",
}

INLINE = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "video/mp4": "mp4",
    "video/webm": "webm",
}
"""The types that a page may show or play, with the extension of a file of each."""

_DOWNLOADS = {"application/pdf": "pdf", "application/zip": "zip", "application/gzip": "gz"}


def media_type_of(head: bytes, *, later: bool = False) -> str:
    """The media type by the first bytes (64 are enough); ``UNKNOWN`` where they say nothing.

    ``later``: recognise more types than the descriptions in records do.
    """
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4") if later else "video/mp4"
    for magic, media_type in (*_MAGIC, *_LATER_MAGIC) if later else _MAGIC:
        if head.startswith(magic):
            return media_type
    return UNKNOWN


def extension_of(media_type: str) -> str:
    """The extension of a file of this type, ``bin`` for types that are not recognised."""
    return INLINE.get(media_type) or _DOWNLOADS.get(media_type, "bin")
