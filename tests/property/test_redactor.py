"""Secrets planted anywhere in nested data: none survives, and the output always parses."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recording_tracer import Captured

from sessiontrace.capture.redaction.redactor import Redactor

SECRETS = [
    "sk-proj-AbCdEf0123456789AbCdEf",
    "sk_live_4eC39HqLyjWDarjtT1",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "xoxb-123456789012-abcdefghij",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "hh_1234567890abcdefghij",
    "4111 1111 1111 1111",
]
secrets = st.sampled_from(SECRETS)
around = st.text(st.characters(exclude_categories=["L", "N", "Cs"]), max_size=5)
planted = (
    secrets
    | st.builds(lambda a, s, b: f"{a} {s} {b}", around, secrets, around)
    | st.builds(lambda s: orjson.dumps({"x": [s]}).decode(), secrets)
    | st.builds(ValueError, secrets)
    | st.builds(lambda s: s.encode(), secrets)
)
hidden = st.builds(
    lambda key, value: {key: value},
    st.sampled_from(["password", "apiKey", "Authorization", "access_token"]),
    st.just("hunter2hunter2"),
)
leaves = planted | hidden | st.integers() | st.text(max_size=10) | st.none() | st.builds(object)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=8) | secrets, inner, max_size=5)
        | st.tuples(inner, inner)
    ),
    max_leaves=25,
)


@given(values, values, planted, st.sampled_from([None, "inputs"]))
@settings(max_examples=300, deadline=None)
def test_D12_no_planted_secret_survives(
    value: Any, other: Any, text: Any, where: str | None
) -> None:
    """In inputs, outputs, metadata, names and errors alike; what remains is legal JSON."""
    captured = Captured(redact=Redactor())
    try:
        with captured.session(str(text), inputs=value):
            with captured.span("s", inputs=value) as span:
                span.set(outputs=other, metadata={"m": value, "t": text}, feedback={"f": other})
                if where is None:
                    raise KeyError(text)
    except KeyError:
        pass
    assert captured.drops == []
    assert len(captured.bodies) == 3
    for body in captured.bodies:
        orjson.loads(body)
        for secret in [*SECRETS, "hunter2hunter2"]:
            assert secret.encode() not in body
