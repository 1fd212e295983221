"""What capture costs the caller: microseconds a span, beside opentelemetry-sdk in the same run.

Measures, in rounds that take turns so that a noisy machine disturbs all alike:

  empty      a span inside a session, with nothing in it
  payload    a span with a chat of 0.8 kB as inputs and a short output
  unmasked   the same with redact=False: opentelemetry-sdk masks nothing either
  decorated  the same as a traced function
  disabled   what a traced function costs over the bare one when tracing is off

The time is that of the calling thread: what capture takes from the user. With --wall it is the
time on the clock, in which the background threads of both compete for the interpreter; ours then
writes every event to SQLite meanwhile, OpenTelemetry's exporter throws its spans away. Between
rounds both have a moment to work off what they hold, as they would in a program that also waits
for its models.

Ours goes to a real spool in a temporary directory, with its threads running. OpenTelemetry's spans
go through a BatchSpanProcessor (queue wide enough for the run); payloads become JSON attributes,
as its LLM instrumentations write them.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sessiontrace as st

MESSAGES = [
    {"role": "user", "content": "Where is the old harbour, and what is there to see? " * 7},
    {"role": "assistant", "content": "It lies at the western end of the town, below the. " * 7},
]
PAYLOAD = {"messages": MESSAGES}
ANSWER = {"answer": "Below the lighthouse."}

PAUSE_S = 0.05
WARM_UP = 4

Case = Callable[[], None]


def bare(messages: list[dict[str, str]]) -> dict[str, str]:
    return ANSWER


def ours(root: Path) -> tuple[dict[str, Case], Callable[[], None]]:
    """Our cases, inside one open session, and how to finish."""
    tracer = st.Tracer(st.Local(path=root / "store.db"), spool=root / "spool")
    bold = st.Tracer(st.Local(path=root / "store.db"), spool=root / "spool", redact=False)
    off = st.Tracer(enabled=False)
    unmasked_session = bold.session("benchmark")
    unmasked_session.__enter__()
    session = tracer.session("benchmark")
    session.__enter__()
    traced = tracer.trace(bare)
    untraced = off.trace(bare)

    def empty() -> None:
        with tracer.span("step"):
            pass

    def payload() -> None:
        with tracer.span("step", type="model", inputs=PAYLOAD) as span:
            span.set(outputs=ANSWER)

    def unmasked() -> None:
        with bold.span("step", type="model", inputs=PAYLOAD) as span:
            span.set(outputs=ANSWER)

    def decorated() -> None:
        traced(MESSAGES)

    def disabled() -> None:
        untraced(MESSAGES)

    def finish() -> None:
        session.end()
        unmasked_session.end()
        tracer.shutdown(timeout=60)
        bold.shutdown(timeout=60)

    return {
        "empty": empty,
        "payload": payload,
        "unmasked": unmasked,
        "decorated": decorated,
        "disabled": disabled,
    }, finish


def opentelemetry() -> tuple[dict[str, Case], Callable[[], None]] | None:
    """OpenTelemetry's cases inside one open span, or None where it is not installed."""
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            SpanExporter,
            SpanExportResult,
        )
        from opentelemetry.trace import get_current_span
    except ImportError:
        return None

    class Taker(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Taker(), max_queue_size=200_000))
    tracer = provider.get_tracer("benchmark")
    outer = tracer.start_as_current_span("benchmark")
    outer.__enter__()

    def empty() -> None:
        with tracer.start_as_current_span("step"):
            pass

    def payload() -> None:
        with tracer.start_as_current_span("step") as span:
            span.set_attribute("gen_ai.input.messages", json.dumps(MESSAGES))
            span.set_attribute("gen_ai.output.messages", json.dumps(ANSWER))

    @tracer.start_as_current_span("step")
    def decorated_call(messages: list[dict[str, str]]) -> dict[str, str]:
        span = get_current_span()
        span.set_attribute("gen_ai.input.messages", json.dumps(messages))
        answer = bare(messages)
        span.set_attribute("gen_ai.output.messages", json.dumps(answer))
        return answer

    def decorated() -> None:
        decorated_call(MESSAGES)

    def finish() -> None:
        outer.__exit__(None, None, None)
        provider.shutdown()

    return {"empty": empty, "payload": payload, "unmasked": payload, "decorated": decorated}, finish


def bare_call() -> None:
    bare(MESSAGES)


def once(case: Case, count: int, clock: Callable[[], float]) -> float:
    """Microseconds a call, over ``count`` calls."""
    begun = clock()
    for _ in range(count):
        case()
    return (clock() - begun) / count * 1e6


def measure(
    cases: dict[str, Case], count: int, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Every case once in each round; a round's order is the same for all."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(1 - WARM_UP, rounds + 1):
        for name, case in cases.items():
            gc.collect()
            time.sleep(PAUSE_S)
            figure = once(case, count, clock)
            if number > 0:
                taken[name].append(figure)
        print(f"\rround {max(number, 0)}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000, help="calls a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=25, help="rounds (%(default)s)")
    parser.add_argument("--wall", action="store_true", help="time on the clock, not the thread's")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        own, finish = ours(Path(scratch))
        cases = {f"sessiontrace {name}": case for name, case in own.items()}
        cases["bare call"] = bare_call
        peer = opentelemetry()
        if peer is not None:
            cases |= {f"opentelemetry {name}": case for name, case in peer[0].items()}
        clock = time.perf_counter if options.wall else time.thread_time
        taken = measure(cases, options.count, options.rounds, clock)
        finish()
        if peer is not None:
            peer[1]()

    median = {name: statistics.median(figures) for name, figures in taken.items()}
    over = median["sessiontrace disabled"] - median["bare call"]
    if options.json:
        print(json.dumps({"us": median, "disabled_over_bare_us": over}))
        return
    print(f"{'us a span (median)':<20}{'sessiontrace':>14}{'opentelemetry':>15}{'ratio':>8}")
    for name in own:
        line = f"{name:<20}{median[f'sessiontrace {name}']:>14.2f}"
        other = median.get(f"opentelemetry {name}")
        if other is not None:
            line += f"{other:>15.2f}{median[f'sessiontrace {name}'] / other:>8.3f}"
        print(line)
    print(f"{'bare call':<20}{median['bare call']:>14.2f}")
    print(f"disabled, over the bare call: {over:.2f} us")
    if peer is None:
        print("opentelemetry-sdk is not installed: no ratio (pip install opentelemetry-sdk)")


if __name__ == "__main__":
    main()
