"""A request's body: laid together in pieces, and yet the same bytes."""

from __future__ import annotations

import pytest

from sessiontrace.export.protocol import Request
from sessiontrace.export.request_body import RequestBody
from sessiontrace.vendors.shared.request_groups import join_body

PIECE = 64 << 10


@pytest.mark.parametrize("separator", [b"", b",", b", "])
@pytest.mark.parametrize(
    "sizes",
    [[], [0], [5], [5, 0, 7], [PIECE], [PIECE, PIECE], [1, 3 * PIECE, 1], [1000] * 200],
    ids=str,
)
def test_the_pieces_are_the_body(sizes: list[int], separator: bytes) -> None:
    """Whatever the items, the pieces one after the other are the items with their separators; so
    says the length that went ahead of them, and a second walk gives the same for a second attempt.
    """
    items = [bytes([65 + at % 26]) * size for at, size in enumerate(sizes)]
    body = RequestBody(items, separator)
    whole = separator.join(items)
    assert b"".join(body) == whole
    assert list(body) == list(body)
    assert bytes(body) == whole
    assert body.size == len(whole)
    assert body == RequestBody([whole])


def test_no_piece_is_much_larger_than_the_socket_takes() -> None:
    """A thousand events are a megabyte: nobody may have to lay it together at once. Only an item
    that is larger by itself comes in a larger piece.
    """
    small = [b"x" * 1000] * 1000
    assert max(map(len, RequestBody(small, b","))) <= PIECE + len(small)
    assert len(list(RequestBody(small, b","))) == 16
    assert [len(one) for one in RequestBody([b"x", b"y" * PIECE * 2, b"z"])] == [1, 2 * PIECE, 1]


def test_the_beginning_of_a_body_can_be_changed_and_the_body_stays() -> None:
    """A project key is put in front when a request is sent; a retry begins from the same body."""
    body = join_body(b'{"batch":[', [b"1", b"2"], b"]}")
    stamped = body.begun(lambda head: b'{"key":"k",' + head[1:])
    assert bytes(stamped) == b'{"key":"k","batch":[1,2]}'
    assert bytes(body) == b'{"batch":[1,2]}'


def test_requests_with_the_same_body_are_equal_however_it_is_cut() -> None:
    """Tests and retries compare requests; only the bytes count."""
    whole = Request("POST", "/", b"[1,2]", (0, 1))
    parts = Request("POST", "/", join_body(b"[", [b"1", b"2"], b"]"), (0, 1))
    assert whole == parts
    assert hash(whole) == hash(parts)
    assert whole != Request("POST", "/", b"[1,3]", (0, 1))
    assert parts.body == b"[1,2]"
