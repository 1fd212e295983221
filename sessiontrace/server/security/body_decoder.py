"""A body's bytes as they arrive, unpacked by its ``Content-Encoding``.

Runs on the server's loop, once the guard has admitted the request: aiohttp would unpack a refused
body too, and 200 kB of gzip cost it half a second. Invariant: a call unpacks at most the bytes that
its caller has room for.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

__all__ = ["BodyDecoder", "EncodingNotSupportedError"]

_GZIP, _RAW_DEFLATE = 16 + zlib.MAX_WBITS, -zlib.MAX_WBITS
_MEMBERS_MAX = 16
_DEFLATE = 8  # the method, in the low half of the first byte of zlib's header


class EncodingNotSupportedError(Exception):
    """The body has an encoding that the server does not unpack."""


class BodyDecoder:
    """Unpacks one body: gzip, deflate, and zstd where Python has it.

    ``EncodingNotSupportedError`` for any other encoding.
    """

    def __init__(self, encoding: str) -> None:
        encoding = encoding.strip().lower()
        self._new = _decompressors(encoding)
        self._decompressor: Any = None
        self._members = 0
        self._is_deflate = encoding == "deflate"

    def decode(self, chunk: bytes, room: int) -> bytes:
        """The next bytes, at most ``room`` of them: then the body is too large.

        Raises the decompressor's error for a body that is not of its encoding.
        """
        if self._new is None:
            return chunk
        body = bytearray()
        while chunk and len(body) < room:
            if self._decompressor is None or self._decompressor.eof:  # of several in a row
                self._members += 1
                if self._members > _MEMBERS_MAX:  # a stranger could make it quadratic
                    raise ValueError("too many members")
                is_raw = self._is_deflate and chunk[0] & 0x0F != _DEFLATE
                self._decompressor = zlib.decompressobj(_RAW_DEFLATE) if is_raw else self._new()
            body += self._decompressor.decompress(chunk, room - len(body))
            chunk = self._decompressor.unused_data
        return bytes(body)

    def check_end(self) -> None:
        """``EOFError`` where the body ends before its encoding does."""
        if self._decompressor is not None and not self._decompressor.eof:
            raise EOFError("the body ends early")


def _decompressors(encoding: str) -> Callable[[], Any] | None:
    """Makes a decompressor; None where the body is as it is."""
    if encoding in {"", "identity"}:
        return None
    if encoding in {"gzip", "x-gzip"}:
        return lambda: zlib.decompressobj(_GZIP)
    if encoding == "deflate":
        return zlib.decompressobj
    if encoding == "zstd":
        from aiohttp import compression_utils  # it finds the module of this Python

        decompressor: Any = getattr(compression_utils, "ZstdDecompressor", None)
        if decompressor is not None:
            return lambda: decompressor()
    raise EncodingNotSupportedError(encoding)
