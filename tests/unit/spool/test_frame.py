"""The frame: what is accepted as a record, and what is not."""

from __future__ import annotations

import pytest
from support.spools import A, B, body

from sessiontrace.spool.frame import (
    Consumer,
    Header,
    damage,
    decode,
    decode_header,
    encode,
    encode_header,
    head,
    routed,
    seed,
)

SEED = seed("0123456789abcdef", 7)
FRAME = encode(SEED, head(b"event", b"*"), body(1))


def test_a_frame_is_one_readable_line() -> None:
    """Whoever greps a spool sees the kind, the route and the JSON."""
    assert FRAME[8:].startswith(b' event * {"event_id":"00000001')
    assert FRAME.endswith(b"}\n")
    assert FRAME.count(b"\n") == 1
    assert decode(FRAME[:-1], SEED) == (b"event", b"*", body(1))


def test_no_flipped_bit_gets_through() -> None:
    """Every single bit of a frame is guarded, its own checksum included."""
    line = FRAME[:-1]
    for place in range(len(line) * 8):
        raw = bytearray(line)
        raw[place // 8] ^= 1 << place % 8
        assert decode(bytes(raw), SEED) is None


@pytest.mark.parametrize("other", [("0123456789abcdef", 8), ("0123456789abcdee", 7)])
def test_a_frame_of_another_segment_or_spool_does_not_pass(other: tuple[str, int]) -> None:
    """Blocks of a deleted file may turn up in a new one after a power cut; their frames are whole,
    and still none of ours.
    """
    assert decode(FRAME[:-1], seed(*other)) is None


@pytest.mark.parametrize(
    "line",
    [b"", b"\0" * 300, b"00000000 ", b"00000000 event * ", b"+1234567 event * {}", b" " * 40],
)
def test_what_is_no_frame_gives_nothing(line: bytes) -> None:
    """Zeros have the checksum of nothing, and a number may be written in many ways."""
    assert decode(line, SEED) is None
    assert decode(line, 0) is None


def test_a_sound_checksum_over_too_little_is_no_record() -> None:
    """A line without kind, route and body is not taken for one, even when its sum is right."""
    assert decode(encode(SEED, b" event", b"")[:-1], SEED) is None


def test_A05_a_lost_line_feed_counts_two_records() -> None:
    """The line feed between two frames is hit: one line is bad, two records are gone."""
    line = (FRAME + FRAME)[:-1].replace(b"\n", b"\x0b")
    assert decode(line, SEED) is None
    assert damage(line) == 2
    assert damage(FRAME[:-1]) == damage(b"rubbish") == 1


def test_routes_name_destinations() -> None:
    """A star is everybody; else the very name, not a part of one."""
    assert routed(b"*", b"a")
    assert routed(b"b,a", b"a")
    assert routed(b"a", b"a")
    assert not routed(b"aa,b", b"a")
    assert not routed(b"", b"a")


def test_a_header_says_whose_the_segment_is() -> None:
    """An recovery must know from one line what it found."""
    header = Header("0123456789abcdef", 3, "shop ünïcode", 42, (A, B))
    line = encode_header(header)
    assert decode_header(line[:-1]) == header
    assert decode_header(line[:-2]) is None
    assert decode_header(FRAME[:-1]) is None


def test_a_header_of_a_newer_format_tells_only_its_format() -> None:
    """What a later version means by its fields is not guessed."""
    line = encode(0, head(b"header", b"*"), b'{"format":2,"destinations":"elsewhere"}')
    found = decode_header(line[:-1])
    assert found is not None
    assert (found.format, found.consumers) == (2, ())


@pytest.mark.parametrize(
    "text", [b"[]", b"{}", b'{"format":1}', b'{"format":"x"}', b'{"format":1,"destinations":[1]}']
)
def test_a_sound_line_with_senseless_json_is_no_header(text: bytes) -> None:
    """A checksum guards against decay, not against another program's idea of a header."""
    assert decode_header(encode(0, head(b"header", b"*"), text)[:-1]) is None


def test_a_destination_whose_name_could_escape_the_directory_is_left_out() -> None:
    """Names become file names: a header may not make us write elsewhere."""
    evil = Consumer("../../etc/cron", "local", "f")
    found = decode_header(encode_header(Header("0" * 16, 1, "s", 1, (evil, A)))[:-1])
    assert found is not None
    assert found.consumers == (A,)
