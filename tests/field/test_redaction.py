"""Recorded LLM data keeps its sense, and secrets leave it in each form in which they come."""

from __future__ import annotations

from typing import Any

import pytest

import sessiontrace as st
from sessiontrace.testing import Captured

CODE = "def login(user: str, password: str) -> Token:\n    token = tokenizer.encode(user)"

KEPT: list[Any] = [
    {"logprobs": {"content": [{"token": "Hello", "logprob": -0.1}]}},
    CODE,
    {"secretary": "Ms Lee", "passwordless": "yes", "cookie_policy": "strict",
     "credentials_valid": "true", "password_hint": "my first pet"},
    {"time_to_first_token": 0.35, "time_per_output_token": 0.02, "max_tokens": 500},
    "called with max_tokens=500, temperature=0",
    {"entities": [{"token": "Paris", "label": "LOC"}]},
]  # fmt: skip


@pytest.mark.parametrize("value", KEPT, ids=range(len(KEPT)))
def test_what_looks_like_a_secret_stays(traces: Captured, value: Any) -> None:
    """Log probabilities, code, words around a key name, and counts."""
    with st.session("s"), st.span("step", inputs={"value": value}):
        pass
    assert traces.events[0]["inputs"] == {"value": value}


def test_metrics_are_numbers(traces: Captured) -> None:
    """The time to the first token is the metric that most users record."""
    with st.session("s"), st.span("step") as span:
        span.set(metrics={"time_to_first_token": 0.35})
    assert traces.events[0]["metrics"] == {"time_to_first_token": 0.35}


S = "Zk3vQ8nW2xLr7TbY5mHd9cJf4sGa6uPe"  # a made-up secret

MASKED: list[tuple[str, Any]] = [
    ("horse", 'the file holds {"password": "correct horse X"} and no more'),
    (S, [["x-api-key", S]]),
    (S, ("x-api-key", S)),
    (S, [(b"x-api-key", S.encode())]),
    (S, {"name": "API_KEY", "value": S}),
    (S, {"pass": S}),
    (S, {"db_pwd": S}),
    (S, {"signing_key": S}),
    ("ss@db", "postgres://user:p@ss@db.example/app"),
    (S, f"my key is gsk_{S}{S[:20]}"),
    (S, f"my key is lsv2_pt_{S.lower()}_{S[:10].lower()}"),
    (S, f"my key is SG.{S[:22]}.{S}{S[:11]}"),
    (S, f"my key is pypi-AgEIcHlwaS5vcmcC{S}{S}"),
]


@pytest.mark.parametrize(("secret", "value"), MASKED, ids=range(len(MASKED)))
def test_a_secret_leaves_no_trace(traces: Captured, secret: str, value: Any) -> None:
    """Quoted, in pairs of headers, by name and value, in URLs, and in the shapes of providers."""
    with st.session("s"), st.span("step", inputs={"value": value}):
        pass
    text = str(traces.events[0]["inputs"])
    assert "***" in text
    for part in (secret, secret[:8]) if secret == S else (secret,):
        assert part.lower() not in text.lower()
