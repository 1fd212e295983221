"""A packed body, unpacked in parts: each encoding, and what is no body of its encoding."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from sessiontrace.server.security.body_decoder import BodyDecoder, EncodingNotSupportedError

TEXT = b'{"a": "' + bytes(range(97, 123)) * 400 + b'"}'


def raw_deflate(text: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(text) + compressor.flush()


def decoded(encoding: str, body: bytes, room: int = 1 << 20, step: int = 10) -> bytes:
    decoder = BodyDecoder(encoding)
    answer = b""
    for at in range(0, len(body), step):
        answer += decoder.decode(body[at : at + step], room - len(answer))
    decoder.check_end()
    return answer


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("gzip", lambda text: gzip.compress(text[:9]) + gzip.compress(text[9:])),
    ],
)
@pytest.mark.parametrize("step", [1, 10, 1 << 20])
def test_each_encoding_is_unpacked_however_it_arrives(encoding: str, pack: Any, step: int) -> None:
    """Also several members in a row, as gzip permits them."""
    assert decoded(encoding, pack(TEXT), step=step) == TEXT


def test_zstd_is_unpacked_where_python_has_it() -> None:
    """As exporters of OpenTelemetry send it."""
    zstd: Any = pytest.importorskip("backports.zstd", reason="not compiled")
    assert decoded("zstd", zstd.compress(TEXT)) == TEXT


def test_no_more_is_unpacked_than_there_is_room_for() -> None:
    """A thousandth of the memory that it asks for arrives."""
    decoder = BodyDecoder("gzip")
    assert len(decoder.decode(gzip.compress(b" " * (50 << 20)), 1_000)) == 1_000


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)[:-4], EOFError),
        ("gzip", b"\x1f\x8bnot gzip", zlib.error),
        ("gzip", gzip.compress(b"", mtime=0) * 100, ValueError),
        ("deflate", b"\xff" * 50, zlib.error),
    ],
)
def test_what_is_not_of_its_encoding_is_an_error(encoding: str, body: bytes, error: Any) -> None:
    """Cut off, damaged, or of so many members that to unpack it would take long."""
    with pytest.raises(error):
        decoded(encoding, body, step=1 << 20)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "aes128gcm"])
def test_another_encoding_is_refused_by_its_name(encoding: str) -> None:
    """The server asks for gzip."""
    with pytest.raises(EncodingNotSupportedError, match=encoding):
        BodyDecoder(encoding)
