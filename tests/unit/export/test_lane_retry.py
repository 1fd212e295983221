"""A lane whose backend is down, slow, overloaded or not to be trusted."""

from __future__ import annotations

import asyncio
import logging

import pytest
from support.lane_harness import PlainExporter, Run, event, numbers

from sessiontrace.export.protocol import Batch, Reply, Request, UntrustedError
from sessiontrace.runtime import log

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def _everything_is_news() -> None:
    log.reset()


def ok(request: Request) -> Reply:
    return Reply(200)


def down(request: Request) -> Reply:
    raise ConnectionRefusedError("cannot connect")


def waits(run: Run) -> list[float]:
    return [round(b - a, 6) for a, b in zip(run.wire.at, run.wire.at[1:], strict=False)]


async def test_C11_a_dead_backend_is_tried_at_growing_intervals_for_as_long_as_it_takes() -> None:
    """Nothing listens for an hour. The waits double from one second to one minute (the jitter is
    drawn at its ceiling here), the same bytes go each time, and at last they arrive."""
    run = Run(down, [event(1)])
    await run.until(lambda: run.clock.time > 1000 + 600)
    assert waits(run)[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert run.stats.state == "retrying"
    assert run.stats.last_error == "cannot connect"
    run.wire.respond = ok
    await run.until(lambda: run.done)
    assert len({request.body for request in run.sent}) == 1
    assert (run.stats.acked, run.stats.last_error) == (1, "")
    assert run.stats.retries == run.stats.requests - 1
    await run.end()


async def test_after_a_success_the_backoff_starts_small_again() -> None:
    """Two outages: the second one begins with a wait of one second, too."""
    run = Run(down, [event(1)])
    await run.until(lambda: len(run.sent) == 6)
    run.wire.respond = ok
    await run.until(lambda: run.done)
    run.wire.respond = down
    run.source.records.append(event(2))
    sent = len(run.sent)
    await run.until(lambda: len(run.sent) == sent + 2)
    assert waits(run)[-1] == 1
    run.wire.respond = ok
    await run.until(lambda: run.done)
    await run.end()


async def test_C09_the_backends_own_wish_is_granted() -> None:
    """429 with Retry-After: 30 is waited for, though our own backoff would be one second."""
    run = Run(lambda request: Reply(429, {"retry-after": "30"}), [event(1)])
    await run.until(lambda: len(run.sent) == 2)
    assert waits(run) == [30]
    run.wire.respond = ok
    await run.until(lambda: run.done)
    await run.end()


async def test_what_was_delivered_is_not_sent_again_with_the_rest_of_its_batch() -> None:
    """Ten sessions, one of which gets a 503: only that one is repeated, and the second stage
    waits for it."""

    class Sessions(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            every = tuple(range(len(batch.records)))
            return [
                [Request("POST", f"/session/{at}", b"", (at,)) for at in every],
                [Request("POST", "/events", b"", every)],
            ]

    failures = 3

    def respond(request: Request) -> Reply:
        nonlocal failures
        if request.path == "/session/4" and failures:
            failures -= 1
            return Reply(503)
        return Reply(200)

    run = Run(respond, [event(n) for n in range(10)], exporter=Sessions())
    await run.until(lambda: run.done)
    await run.end()
    paths = [request.path for request in run.sent]
    assert paths.count("/session/4") == 4
    assert len(paths) == 10 + 3 + 1
    assert paths[-1] == "/events"


async def test_after_a_failure_one_request_goes_ahead_alone() -> None:
    """A backend that comes back is not greeted by everything at once."""

    class OneEach(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            return [[Request("POST", "/", b"", (at,)) for at in range(len(batch.records))]]

    run = Run(down, [event(n) for n in range(8)], exporter=OneEach())
    await run.until(lambda: len(run.sent) >= 4)
    first = len(run.sent)
    await run.until(lambda: len(run.sent) > first)
    assert len(run.sent) == first + 1
    run.wire.respond = ok
    await run.until(lambda: run.done)
    await run.end()


async def test_C15_a_wrong_key_blocks_and_is_probed_slowly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """401: the data stays, the user is told once, and one request goes out after 1, 2, 5, 5...
    minutes until someone has mended it."""
    caplog.set_level(logging.INFO, "sessiontrace")
    run = Run(lambda request: Reply(401), [event(1)])
    await run.until(lambda: len(run.sent) == 6)
    assert waits(run) == [60, 120, 300, 300, 300]
    assert (run.stats.state, run.stats.last_error) == ("blocked", "HTTP 401")
    assert (run.stats.pending, run.stats.rejected) == (1, 0)
    run.wire.respond = ok
    await run.until(lambda: run.done)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "blocked: HTTP 401" in lines[0]
    assert "accepts records again" in lines[1]
    await run.end()


async def test_a_certificate_that_cannot_be_trusted_blocks() -> None:
    """No retry storm against a host that is not who it should be, and no data to it either."""

    def impostor(request: Request) -> Reply:
        raise UntrustedError("the certificate of there:443 is not trusted")

    run = Run(impostor, [event(1)])
    await run.until(lambda: run.stats.state == "blocked")
    assert "certificate" in run.stats.last_error
    await run.end()
    assert run.stats.pending == 1


async def test_whatever_a_transport_raises_is_no_reason_to_lose_anything() -> None:
    """An error nobody foresaw counts as a failed attempt; its text, which may hold anything, is
    not shown."""

    def strange(request: Request) -> Reply:
        raise ValueError("Bearer hh_secret")

    run = Run(strange, [event(1)])
    await run.until(lambda: len(run.sent) == 3)
    assert run.stats.last_error == "ValueError"
    run.wire.respond = ok
    await run.until(lambda: run.done)
    await run.end()


async def test_a_judge_that_fails_loses_nothing() -> None:
    """A reply that breaks the judge is an attempt that failed."""

    class Broken(PlainExporter):
        def interpret(self, request: Request, reply: Reply) -> None:  # type: ignore[override]
            raise KeyError("what?")

    run = Run(ok, [event(1)], exporter=Broken())
    await run.until(lambda: len(run.sent) == 3)
    assert run.stats.last_error == "KeyError"
    assert run.stats.pending == 1
    await run.end()


async def test_a_flush_shortens_our_own_wait_but_not_the_backends() -> None:
    """A script ends with a flush while the lane is deep in backoff: it tries now. Where the
    backend asked for two minutes, it gets two minutes."""
    run = Run(down, [event(1)])
    await run.until(lambda: len(run.sent) == 7)
    run.wire.respond = ok
    begun = run.clock.now()
    ticket = run.flush()
    await run.until(lambda: ticket.done)
    assert ticket.wait(0)
    assert run.clock.now() - begun < 2

    run.wire.respond = lambda request: Reply(503, {"retry-after": "120"})
    run.source.records.append(event(2))
    await run.until(lambda: run.stats.state == "retrying")
    sent = len(run.sent)
    run.flush()
    await run.until(lambda: len(run.sent) > sent)
    assert waits(run)[-1] == 120
    await run.end()


async def test_a_flush_of_a_blocked_lane_says_so_at_once() -> None:
    """Nobody waits out a timeout for a key that is wrong."""
    run = Run(lambda request: Reply(403), [event(1)])
    ticket = run.flush()
    await run.until(lambda: ticket.done)
    assert not ticket.wait(0)
    late = run.flush()
    begun = run.clock.now()
    await run.until(lambda: late.done)
    assert not late.wait(0)
    assert run.clock.now() == begun
    await run.end()


@pytest.mark.parametrize("reply", [Reply(503), Reply(429, {"retry-after": "60"}), Reply(401)])
async def test_finishing_never_waits_for_another_try(reply: Reply) -> None:
    """Exit against a backend in trouble: one attempt, no retry sleep, the data stays."""
    run = Run(lambda request: reply, [event(1)])
    begun = run.clock.now()
    await run.end()
    assert len(run.sent) == 1
    assert run.clock.now() == begun
    assert run.stats.pending == 1


async def test_finishing_in_the_middle_of_a_backoff_tries_once_more() -> None:
    """The backend came back while we were waiting: the last attempt delivers."""
    run = Run(down, [event(1)])
    await run.until(lambda: len(run.sent) == 8)
    run.wire.respond = ok
    await run.end()
    assert run.done


async def test_an_attempt_that_is_cancelled_is_still_owed() -> None:
    """The deadline of an exit strikes in mid-request: nothing is settled, and a lane that goes on
    afterwards sends the same request again."""
    run = Run(ok, [event(1), event(2)])
    run.wire.gate = asyncio.Event()
    await run.until(lambda: run.sent)
    assert run.task is not None
    run.task.cancel()
    await asyncio.gather(run.task, return_exceptions=True)
    assert run.stats.pending == 2
    run.wire.gate = None
    run.task = None
    await run.until(lambda: run.done)
    assert [numbers(request) for request in run.sent] == [[1, 2], [1, 2]]
    await run.end()
