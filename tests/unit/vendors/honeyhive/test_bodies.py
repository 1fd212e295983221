"""A session's request is cut out of its records: the bytes are those that decoding would give."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sessiontrace.model import payload
from sessiontrace.vendors.honeyhive import bodies

ID = "0af76519-16cd-43dd-8448-eb211c80319c"
START = {
    "event_id": ID,
    "session_id": ID,
    "event_type": "session",
    "source": "café",
    "start_time": 1_790_000_000_000,
    "start_nanos": 928_542,
    "event_name": 'a "quoted", {name}',
    "config": {"model": "m", "inputs": [1, {"deep": "}"}]},
    "metadata": {"service": "s"},
    "user_properties": {"id": "ü"},
    "inputs": {"question": 'why, "metrics": 1?', "outputs": {}},
}
END = {
    **START,
    "end_time": 1_790_000_000_007,
    "duration": 7.25,
    "event_name": "renamed",
    "metadata": {"service": "s", "late": None},
    "metrics": {"score": 1},
    "feedback": {"good": True},
    "error": "no",
    "children_ids": [ID, ID],
    "outputs": {"answer": [1.5, "\\t", "\t"]},
}


def encoded(fields: dict[str, Any], tabs: bool) -> bytes:
    """A record, with tabs around its inputs and outputs as capture writes them, or without."""
    first = {name: value for name, value in fields.items() if name not in ("inputs", "outputs")}
    body = orjson.dumps(first)[:-1]
    mark = b"\t" if tabs else b""
    for name in ("inputs", "outputs"):
        if name in fields:
            body += b',"%b":%b%b%b' % (name.encode(), mark, orjson.dumps(fields[name]), mark)
    return body + b"}"


def by_decoding(start: bytes, end: bytes | None) -> bytes:
    body = bodies.session(orjson.loads(start.replace(b"\t", b"")))
    if end is not None:
        bodies.merge(body, bodies.session(orjson.loads(end.replace(b"\t", b""))), ())
    return payload.compact_json(body)


@pytest.mark.parametrize("tabs", [True, False], ids=["capture's layout", "without tabs"])
@pytest.mark.parametrize("fewer", [(), ("inputs",), ("event_name", "metadata"), ("config",)])
def test_a_session_is_posted_as_decoding_its_records_would_write_it(
    tabs: bool, fewer: tuple[str, ...]
) -> None:
    """Whichever fields its start lacks, and whether or not its end is in the same batch."""
    start = encoded({name: START[name] for name in START if name not in fewer}, tabs)
    end = encoded(END, tabs)
    assert bodies.session_bytes(start, end) == by_decoding(start, end)
    assert bodies.session_bytes(start, None) == by_decoding(start, None)
    assert bodies.session_bytes(start, start) == by_decoding(start, None)


def test_a_record_with_an_escaped_field_name_is_left_to_decoding() -> None:
    """Capture writes none; another program's spool may hold one."""
    assert bodies.session_bytes(b'{"event\\u005fid":"x"}', None) is None


@pytest.mark.parametrize("tabs", [True, False])
def test_inputs_are_compared_by_the_same_bytes_in_every_layout(tabs: bool) -> None:
    """A session without inputs has the same ones as a session with an empty object."""
    assert bodies.inputs_of(encoded(START, tabs)) == orjson.dumps(START["inputs"])
    bare = {name: START[name] for name in START if name != "inputs"}
    assert bodies.inputs_of(encoded(bare, tabs)) == b"{}"
    assert bodies.inputs_of(encoded({**START, "inputs": {}}, tabs)) == b"{}"


def test_only_what_the_start_of_a_session_cannot_carry_is_left_for_an_update() -> None:
    """A question may quote "metrics"; that is not a metric."""
    assert bodies.leftover(encoded(START, tabs=True)) == {}
    expected = {"metrics": {"score": 1}, "feedback": {"good": True}}
    assert bodies.leftover(encoded(END, tabs=True)) == expected
