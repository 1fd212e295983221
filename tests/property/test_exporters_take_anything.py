"""Records from elsewhere (imports, foreign spans) may hold anything; exporters take it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exporters import FLOWS, HUMANLOOP, OTLP, POSTHOG, VendorCase, deliver

from sessiontrace.model.fields import EVENT_FIELDS
from sessiontrace.model.record import END, EVENT, START, UPDATE, Record

_IDS = st.sampled_from(
    [f"01890000-0000-7000-8000-00000000000{n}" for n in range(4)]
    + ["", "x", "ü" * 300, "ffffffff-ffff-7fff-bfff-ffffffffffff"]
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
_MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "robot"])},
    optional={"content": _LEAVES, "tool_calls": st.lists(_LEAVES, max_size=2), "parts": _LEAVES},
)
_VALUES = st.recursive(
    _LEAVES | _MESSAGES | st.lists(_MESSAGES, max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["chat_history", "choices", "model", "hyperparameters", "error", "user_id", "k"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_BODIES = st.fixed_dictionaries(
    {"event_id": _IDS, "session_id": _IDS},
    optional={
        "event_type": st.sampled_from(["model", "tool", "chain", "session"]) | _VALUES,
        "parent_id": _IDS | _VALUES,
        **dict.fromkeys(EVENT_FIELDS[4:], _VALUES),
    },
)
_RECORDS = st.lists(
    st.tuples(st.sampled_from([START, EVENT, END, UPDATE]), _BODIES), min_size=1, max_size=5
)


@pytest.mark.parametrize("vendor", [HUMANLOOP, FLOWS, POSTHOG, OTLP], ids=lambda one: one.name)
@settings(max_examples=40, deadline=None)
@given(drawn=_RECORDS)
def test_any_record_is_sent_or_refused_with_a_reason(
    vendor: VendorCase, drawn: list[tuple[bytes, dict[str, Any]]]
) -> None:
    """No exception, every record settled, every body legal JSON."""
    records = [Record(kind, b"*", orjson.dumps(body)) for kind, body in drawn]
    delivery = deliver(vendor, records)
    assert delivery.setback is None
    assert delivery.acked + len(delivery.rejected) == len(records)
    assert all("cannot be encoded" not in reason for _, reason in delivery.rejected)
    assert all(body is not None for body in delivery.bodies)
