"""What records say of media: descriptions in their JSON, and which of them a store has.

Pure. A description is ``{"media_type": ..., "bytes": n, "sha256": ...}``, of a long medium with
``sha256_of_head``, the hash of its first MiB as capture read it. A store that has the medium adds
``"stored": true``, and the hash of the whole. Invariant: a text within a value is never taken for
a description, because JSON escapes its quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["Key", "Reference", "digests_in", "marked", "references_in"]

Key = tuple[str, int]
"""What names a medium in a record: the SHA-256 and -1, or that of its head and its size."""

_REFERENCE = re.compile(
    rb'"bytes":(\d{1,15}),"(sha256|sha256_of_head)":"([0-9a-f]{64})"(?!,"stored":true)'
)
_STORED = re.compile(r'"sha256":"([0-9a-f]{64})","stored":true')


class Reference(NamedTuple):
    """A medium that a record describes: its ``key`` and size in bytes."""

    key: Key
    size: int


def references_in(body: bytes) -> Iterator[Reference]:
    """The media that a record describes and no store has marked."""
    for match in _REFERENCE.finditer(body):
        yield _reference(match)


def marked(body: bytes, stored: Mapping[Key, str]) -> bytes:
    """The record, with the media in ``stored`` by the hash of the whole and marked."""

    def replacement(match: re.Match[bytes]) -> bytes:
        digest = stored.get(_reference(match).key)
        if digest is None:
            return match[0]
        return b'"bytes":%b,"sha256":"%b","stored":true' % (match[1], digest.encode())

    return _REFERENCE.sub(replacement, body)


def digests_in(body: str) -> set[str]:
    """The media that a stored record refers to."""
    return set(_STORED.findall(body)) if '"stored":true' in body else set()


def _reference(match: re.Match[bytes]) -> Reference:
    size, digest = int(match[1]), match[3].decode()
    return Reference((digest, -1 if match[2] == b"sha256" else size), size)
