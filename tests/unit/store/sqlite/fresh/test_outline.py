"""What folding reads of a record: not the inputs and outputs that capture encoded."""

from __future__ import annotations

import pytest

from sessiontrace.model.record import EVENT, UPDATE, Record
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.sqlite.fresh import _outline_py, outline

HEAD = b'{"event_id":"e","session_id":"s","start_time":1'
FIELDS = {"event_id": "e", "session_id": "s", "start_time": 1}


@pytest.mark.parametrize("form", [_outline_py, outline])
@pytest.mark.parametrize(
    "tail",
    [
        b',"inputs":\t{"question":"Where?"}\t}',
        b',"outputs":\t[1,2]\t}',
        b',"inputs":\t{}\t,"outputs":\t{"answer":"There."}\t}',
    ],
)
def test_payloads_that_capture_encoded_are_not_decoded(form: object, tail: bytes) -> None:
    """The text is kept as it is; the fields lack what no rule of folding reads."""
    (outlined,) = form.outlines([Record(EVENT, b"*", HEAD + tail)], 0, 0, {})  # type: ignore[attr-defined]
    assert outlined == DecodedRecord(EVENT, FIELDS, (HEAD + tail).decode())


@pytest.mark.parametrize("form", [_outline_py, outline])
@pytest.mark.parametrize(
    ("kind", "tail", "fields"),
    [
        (EVENT, b',"inputs":{"a":1}}', {"inputs": {"a": 1}}),
        (EVENT, b',"inputs":\t{"a":1}\t,"error":"x"}', {"inputs": {"a": 1}, "error": "x"}),
        (UPDATE, b',"outputs":\t{"a":1}\t}', {"outputs": {"a": 1}}),
    ],
)
def test_any_other_record_is_decoded_whole(
    form: object, kind: bytes, tail: bytes, fields: dict[str, object]
) -> None:
    """Also a late update, whose fields become a part of what is stored."""
    (outlined,) = form.outlines([Record(kind, b"*", HEAD + tail)], 0, 9, {})  # type: ignore[attr-defined]
    assert isinstance(outlined, DecodedRecord)
    assert outlined.event == FIELDS | fields


@pytest.mark.parametrize("form", [_outline_py, outline])
def test_a_depth_that_no_reader_takes_is_refused(form: object) -> None:
    """Within encoded inputs too."""
    deep = b"[" * 200 + b"]" * 200
    record = Record(EVENT, b"*", HEAD + b',"inputs":\t' + deep + b"\t}")
    refused: dict[int, str] = {}
    assert form.outlines([record], 7, 0, refused) == []  # type: ignore[attr-defined]
    assert refused == {7: "nested deeper than 128 levels"}
