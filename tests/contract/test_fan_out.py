"""Several vendors at once, through the whole pipeline and real sockets."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from support.exporters import FLOWS, HONEYHIVE, HUMANLOOP, OTLP, POSTHOG, VendorCase
from support.fake_backend import Backend, Seen, answer, eventually

import sessiontrace as st
from sessiontrace.export.protocol import Request

pytestmark = pytest.mark.contract


def serving(vendor: VendorCase, prefix: str = "") -> Backend:
    """A backend that answers as the vendor does."""

    def respond(seen: Seen) -> object:
        path = seen.path.removeprefix(prefix)
        reply = vendor.reply(Request(seen.method, path, seen.body, ()))
        return answer(reply.status, reply.body, headers=dict(reply.headers))

    backend = Backend()
    backend.responder = respond  # type: ignore[assignment]
    return backend


@pytest.fixture
def backends() -> Iterator[dict[str, Backend]]:
    with (
        serving(HONEYHIVE) as honeyhive,
        serving(HUMANLOOP, "/v4") as humanloop,
        serving(FLOWS, "/v5") as flows,
        serving(POSTHOG) as posthog,
        serving(OTLP) as otlp,
    ):
        yield {
            "honeyhive": honeyhive,
            "humanloop": humanloop,
            "flows": flows,
            "posthog": posthog,
            "otlp": otlp,
        }


def tracer(backends: dict[str, Backend], spool: Path) -> st.Tracer:
    return st.Tracer(
        st.HoneyHive(api_key="hh_key", base_url=backends["honeyhive"].url),
        st.Humanloop(api_key="hl_key", base_url=backends["humanloop"].url),
        st.Humanloop(name="flows", api_key="hl_5", base_url=backends["flows"].url, version=5),
        st.PostHog(api_key="phc_key", base_url=backends["posthog"].url),
        st.OTLP(endpoint=backends["otlp"].url, headers={"X-Tenant": "t1"}, protobuf=False),
        spool=spool,
        service="shop",
    )


def run_one(traced: st.Tracer) -> tuple[str, str]:
    with traced.session("chat", user="ada", inputs={"q": "why?"}) as session:
        with traced.span("plan", type="chain"), traced.span("call", type="model") as call:
            call.set(outputs={"role": "assistant", "content": "so"})
        session.set(outputs="because")
    return session.session_id, call.event_id


def test_one_session_reaches_five_destinations_in_their_own_words(
    backends: dict[str, Backend], tmp_path: Path
) -> None:
    """Paths, keys and headers are each vendor's own; every destination's books are closed."""
    traced = tracer(backends, tmp_path)
    session_id, event_id = run_one(traced)
    report = traced.flush(10)
    assert report.complete
    for delivery in report.stats.destinations.values():
        assert (delivery.pending, delivery.rejected, delivery.last_error) == (0, 0, "")
        assert delivery.acked == 4
    seen = {name: backend.requests for name, backend in backends.items()}
    assert [one.path for one in seen["honeyhive"]][:2] == ["/v1/sessions", "/v1/events/batch"]
    assert seen["honeyhive"][0].headers["authorization"] == "Bearer hh_key"
    assert [one.path for one in seen["humanloop"]] == ["/v4/logs"] * 3
    assert seen["humanloop"][0].headers["x-api-key"] == "hl_key"
    levels = [[log["reference_id"] for log in one.json] for one in seen["humanloop"]]
    assert (levels[0], levels[2]) == ([session_id], [event_id])
    assert seen["flows"][0].path == "/v5/flows/log"
    assert seen["flows"][-1].json["log_status"] == "complete"
    (batch,) = seen["posthog"]
    assert batch.path == "/batch/"
    assert batch.json["api_key"] == "phc_key"
    assert batch.json["sent_at"].endswith("Z")
    assert {one["distinct_id"] for one in batch.json["batch"]} == {"ada"}
    (spans,) = seen["otlp"]
    assert spans.path == "/v1/traces"
    assert spans.headers["x-tenant"] == "t1"
    assert spans.headers["content-type"] == "application/json"
    assert b'"shop"' in spans.body
    traced.shutdown(5)


def test_a_dead_destination_delays_no_other(backends: dict[str, Backend], tmp_path: Path) -> None:
    """PostHog says 503: the four others have everything, PostHog's records wait."""
    backends["posthog"].responder = lambda seen: answer(503)
    traced = tracer(backends, tmp_path)
    run_one(traced)
    assert not traced.flush(2).complete
    stats = traced.stats().destinations
    assert {name for name, one in stats.items() if one.pending} == {"posthog"}
    assert stats["posthog"].state == "retrying"
    assert "503" in stats["posthog"].last_error
    traced.shutdown(1)


def test_an_event_keeps_its_id_and_time_over_retries_and_the_attempt_tells_its_own(
    backends: dict[str, Backend], tmp_path: Path
) -> None:
    """PostHog fails once: the second attempt has the same events and a later sent_at."""
    posthog = backends["posthog"]
    answers = iter([answer(503)])
    fine = posthog.responder
    posthog.responder = lambda seen: next(answers, None) or fine(seen)  # type: ignore[misc]
    traced = tracer(backends, tmp_path)
    run_one(traced)
    assert traced.flush(10).complete
    first, second = (orjson.loads(one.body) for one in posthog.requests)
    assert first["batch"] == second["batch"]
    assert first["sent_at"] < second["sent_at"]
    traced.shutdown(5)


def test_a_session_is_held_until_its_end_and_then_sent_at_once(
    backends: dict[str, Backend], tmp_path: Path
) -> None:
    """Humanloop hears nothing of an open session, and everything soon after its end."""
    traced = tracer(backends, tmp_path)
    with traced.session("chat"), traced.span("step"):
        run_one(traced)
        eventually(lambda: len(backends["posthog"].requests) > 0)
        eventually(lambda: len(backends["humanloop"].requests) > 0)
        ids = [log["event_name"] for log in _metadata(backends["humanloop"])]
        assert "step" not in ids
        assert ids.count("chat") == 1
    eventually(lambda: any(one["event_name"] == "step" for one in _metadata(backends["humanloop"])))
    traced.shutdown(5)


def _metadata(backend: Backend) -> list[dict[str, str]]:
    return [log["metadata"] for one in backend.requests for log in one.json]


def test_a_flush_lets_go_of_what_is_held(backends: dict[str, Backend], tmp_path: Path) -> None:
    """In the middle of a session: its start and its first step go now, the rest follows."""
    traced = tracer(backends, tmp_path)
    with traced.session("chat") as session:
        with traced.span("step"):
            pass
        assert traced.flush(10).complete
        started, step = _logs(backends["humanloop"])
        assert (started["reference_id"], "output" in started) == (session.session_id, False)
        assert step["parent_reference_id"] == session.session_id
        session.set(outputs="done")
    assert traced.flush(10).complete
    last = backends["humanloop"].requests[-1]
    assert (last.method, last.json["output"]) == ("PATCH", "done")
    traced.shutdown(5)


def _logs(backend: Backend) -> list[dict[str, object]]:
    return [log for one in backend.requests for log in one.json]


def test_an_otlp_partial_success_is_in_the_books_and_not_sent_again(
    backends: dict[str, Backend], tmp_path: Path
) -> None:
    """One of three spans rejected within a 200: one rejected, the rest delivered, one request."""
    partial = {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}
    backends["otlp"].responder = lambda seen: answer(200, orjson.dumps(partial))
    traced = tracer(backends, tmp_path)
    run_one(traced)
    assert traced.flush(10).complete
    delivery = traced.stats().destinations["otlp"]
    assert (delivery.acked, delivery.rejected, delivery.pending) == (3, 1, 0)
    assert len(backends["otlp"].requests) == 1
    traced.shutdown(5)


def test_requests_are_compressed_where_that_was_asked_for(tmp_path: Path) -> None:
    """PostHog and OTLP with gzip=True: what arrives says so, and is the same as without."""
    with serving(POSTHOG) as posthog, serving(OTLP) as otlp:
        traced = st.Tracer(
            st.PostHog(api_key="phc_key", base_url=posthog.url, gzip=True),
            st.OTLP(endpoint=otlp.url, protobuf=False, gzip=True),
            spool=tmp_path,
        )
        session_id, _ = run_one(traced)
        assert traced.flush(10).complete
        traced.shutdown(5)
        for backend in (posthog, otlp):
            assert {one.headers["content-encoding"] for one in backend.requests} == {"gzip"}
            delivery = b"".join(gzip.decompress(one.body) for one in backend.requests)
            assert session_id.encode() in delivery


def test_a_session_goes_where_it_is_told_to_also_from_the_process_it_calls(
    backends: dict[str, Backend], tmp_path: Path
) -> None:
    """to="otlp" there, headers over the wire, a step here: both at the collector, nowhere else."""
    caller, called = tracer(backends, tmp_path / "caller"), tracer(backends, tmp_path / "called")
    with caller.session("ours", to="otlp") as session, caller.span("call"):
        headers = caller.inject({})
    with called.extract(headers, trust="all"), called.span("answer"):
        pass
    for one in (caller, called):
        assert one.flush(10).complete
        one.shutdown(5)
    assert {name for name, backend in backends.items() if backend.requests} == {"otlp"}
    assert sessions(backends["otlp"]) == {session.session_id}
    delivery = b"".join(one.body for one in backends["otlp"].requests)
    assert b'"name":"answer"' in delivery


@pytest.mark.parametrize("start_at", ["newest", "oldest"])
def test_a_destination_added_later_starts_where_it_was_asked_to(
    tmp_path: Path, start_at: str
) -> None:
    """A process could not reach its backend and ended; the next one has a second destination."""
    with Backend() as dead:
        dead.responder = lambda seen: answer(503)
        first = st.Tracer(st.PostHog(api_key="phc_key", base_url=dead.url), spool=tmp_path)
        old, _ = run_one(first)
        first.shutdown(0.2)
        with serving(OTLP) as added:
            second = st.Tracer(
                st.PostHog(api_key="phc_key", base_url=dead.url),
                st.OTLP(endpoint=added.url, protobuf=False, gzip=False, start_at=start_at),
                spool=tmp_path,
            )
            new, _ = run_one(second)
            there = {old, new} if start_at == "oldest" else {new}
            eventually(lambda: there <= sessions(added))
            second.flush(0.2)
            assert sessions(added) == there
            second.shutdown(0.2)


def sessions(backend: Backend) -> set[str]:
    """The sessions whose spans a collector has got."""
    found = (
        pair["value"]["stringValue"]
        for one in list(backend.requests)
        for resource in one.json["resourceSpans"]
        for span in resource["scopeSpans"][0]["spans"]
        for pair in span["attributes"]
        if pair["key"] == "session.id"
    )
    return set(found)
