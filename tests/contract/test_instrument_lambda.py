"""A function of AWS Lambda delivers each session within its own invocation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.instrumented import ModelTracer
from support.server_process import serving

import sessiontrace as st
from sessiontrace.config import default_spool
from sessiontrace.instrumentation.web.aws_lambda import traced_handler
from sessiontrace.store.sqlite.store import SqliteStore


class Context:
    """What Lambda hands to a handler. ``remaining``: ms until the deadline."""

    function_name = "shop"
    function_version = "7"
    aws_request_id = "r-1"

    def __init__(self, remaining: float = 30_000) -> None:
        self.remaining = remaining

    def get_remaining_time_in_millis(self) -> float:
        return self.remaining


def test_an_invocation_is_delivered_before_it_ends(tmp_path: Path) -> None:
    """The process may be frozen for ever after the answer: the session is with the vendor then."""
    with serving(tmp_path / "store.db") as served:
        traced = st.Tracer(
            st.HoneyHive(api_key="hh", base_url=served.url), spool=tmp_path / "spool"
        )

        @traced.aws_lambda
        def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
            with traced.span("work"):
                return {"statusCode": 200}

        assert handler({"question": "why"}, Context()) == {"statusCode": 200}
        delivery = next(iter(traced.stats().destinations.values()))
        assert (delivery.pending, delivery.rejected) == (0, 0)
        traced.shutdown(1)
    store = SqliteStore(tmp_path / "store.db", read_only=True)
    stored = store.session(handler_session(store))
    assert stored is not None
    assert stored.summary.name == "shop"
    assert stored.record["inputs"] == {"question": "why"}
    assert stored.record["outputs"] == {"statusCode": 200}
    assert stored.record["metadata"]["aws_request_id"] == "r-1"
    assert [event.name for event in stored.events] == ["work"]
    store.close()


def handler_session(store: SqliteStore) -> str:
    from sessiontrace.store.models import SessionQuery

    (summary,) = store.sessions(SessionQuery()).sessions
    return summary.session_id


@pytest.mark.parametrize(
    ("remaining", "timeout"), [(30_000, 2.0), (1_500, 1.0), (400, None)], ids=str
)
def test_delivery_leaves_a_margin_before_the_deadline(
    remaining: float, timeout: float | None
) -> None:
    """A backend that does not answer must not cost the function its answer."""
    waits: list[float] = []
    traced = traced_handler(lambda event, context: "ok", ModelTracer(), waits.append, 2.0)
    assert traced({}, Context(remaining)) == "ok"
    assert waits == ([] if timeout is None else [pytest.approx(timeout)])


def test_an_exception_passes_and_is_delivered() -> None:
    """Also where the event is of any form, and the context has nothing."""
    tracing, waits = ModelTracer(), []

    def fails(event: Any, context: Any) -> None:
        raise ValueError("no seat")

    handler = traced_handler(fails, tracing, waits.append, 2.0)
    for event in (["a", "list"], None, {"headers": {"X": 1, 2: "y"}}):
        with pytest.raises(ValueError, match="no seat"):
            handler(event, None)
    assert waits == [2.0] * 3
    ends = [record for kind, record in tracing.records if kind == "end"]
    assert [end["error"] for end in ends] == ["ValueError: no seat"] * 3
    assert tracing.current.get() is None


def test_the_spool_is_in_the_folder_that_can_be_written() -> None:
    """Lambda's home is read-only."""
    env = {"AWS_LAMBDA_FUNCTION_NAME": "shop"}
    assert default_spool(env) == Path("/tmp/sessiontrace/spool")
    assert default_spool({**env, "SESSIONTRACE_SPOOL": "/mnt/efs"}) == Path("/mnt/efs")
