"""The bytes of a record: masked from its name on, bounded, and with its two ids first."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.forms import FORMS, form_of

from sessiontrace.capture.encoding.record_body import EVENT_MAX, assemble, redact_and_bound
from sessiontrace.capture.redaction.redactor import MASK, Redactor

ID = "019aa3c1-8a5e-7000-9d2c-6f1b8f0e5a11"
CARD = "4111 1111 1111 1111"


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Any:
    return form_of("capture.encoding.record_body", request.param)


def event(form: Any, **changes: Any) -> bytes:
    fields = {
        "event_id": ID, "session_id": ID, "parent_id": ID, "event_type": "tool", "source": "app",
        "start": 1_000_000_000, "end": 1_001_500_000, "name": "step", "parts": None,
        "children": None, "inputs": b'{"q":1}', "outputs": None, **changes,
    }  # fmt: skip
    encoded: bytes = form.encode_event(*fields.values())
    return encoded


def test_an_event_has_its_ids_first_and_its_payloads_last(form: Any) -> None:
    """Exporters cut inputs and outputs out by the tabs around them."""
    assert event(form, parts={"metrics": {"a": 1}}, children=[ID], outputs=b'{"a":2}') == (
        b'{"event_id":"%b","session_id":"%b","parent_id":"%b","event_type":"tool","source":"app",'
        b'"start_time":1000,"end_time":1001,"duration":1.5,"event_name":"step",'
        b'"metrics":{"a":1},"children_ids":["%b"],"inputs":\t{"q":1}\t,"outputs":\t{"a":2}\t}'
        % ((ID.encode(),) * 4)
    )


@pytest.mark.parametrize(
    ("end", "times"),
    [(None, b""), (1_000_500_001, b',"start_nanos":1,"end_time":1000,"duration":0.5')],
    ids=["start", "end"],
)
def test_a_session_has_no_parent_and_its_start_no_end(
    form: Any, end: int | None, times: bytes
) -> None:
    """The start of a session has its time in whole milliseconds."""
    changes = {"parent_id": None, "event_type": "session", "start": 1_000_000_001, "end": end}
    assert event(form, **changes) == (
        b'{"event_id":"%b","session_id":"%b","event_type":"session","source":"app",'
        b'"start_time":1000%b,"event_name":"step","inputs":\t{"q":1}\t}'
        % (ID.encode(), ID.encode(), times)
    )


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"name": 'a "quoted" \ud800'}, "event_name", 'a "quoted" \\ud800'),
        ({"parts": {"metrics": {"a": 1 << 70}}}, "metrics", {"a": str(1 << 70)}),
        ({"end": 1_000_000_000}, "duration", 0.0),
        ({"end": 999_000_000}, "duration", -1.0),
        ({"inputs": None}, "inputs", None),
    ],
    ids=["lone surrogate", "integer over 64 bits", "no time at all", "clock set back", "no inputs"],
)
def test_an_event_that_takes_more_than_joining_bytes(
    form: Any, changes: dict[str, Any], field: str, expected: object
) -> None:
    """Values that JSON has no form for are sanitized, not refused."""
    assert orjson.loads(event(form, **changes)).get(field) == expected


def test_redaction_sees_all_that_users_gave_and_no_id() -> None:
    """An id that looks like a card number stays the id."""
    body = {"event_id": ID, "session_id": ID, "source": CARD, "event_name": CARD}
    encoded = assemble({**body, "error": CARD}, b'{"a":"%b"}' % CARD.encode(), None)
    record = orjson.loads(redact_and_bound(encoded, Redactor(), True))
    expected = {"event_name": MASK, "error": MASK, "inputs": {"a": MASK}}
    assert record == {"event_id": ID, "session_id": ID, "source": CARD, **expected}
    assert redact_and_bound(encoded, Redactor(), False) == encoded
    assert redact_and_bound(encoded, None, True) == encoded


def test_of_an_update_redaction_sees_all_but_the_ids() -> None:
    """An update has no name."""
    body = {"event_id": ID, "session_id": ID, "feedback": {"comment": CARD}}
    encoded = assemble(body, None, None)
    record = orjson.loads(redact_and_bound(encoded, Redactor(), True, is_update=True))
    assert record == {"event_id": ID, "session_id": ID, "feedback": {"comment": MASK}}


def test_a_record_that_is_too_large_loses_of_its_largest_parts_only() -> None:
    """The small ones stay whole."""
    body = {"event_id": ID, "session_id": ID, "event_name": "step", "metadata": {"a": "b" * 1_000}}
    text = b'{"t":"%b"}' % (b"x" * EVENT_MAX)
    encoded = redact_and_bound(assemble(body, text, text), None, False)
    assert EVENT_MAX // 2 < len(encoded) <= EVENT_MAX
    record = orjson.loads(encoded)
    assert record["metadata"] == body["metadata"]
    assert "[cut: " in record["inputs"]["t"]
    assert "[cut: " in record["outputs"]["t"]
