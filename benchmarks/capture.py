"""What capture costs the caller: microseconds a span, beside opentelemetry-sdk in the same run.

Measures, in rounds that take turns so that a noisy machine disturbs all alike:

  disabled     what a traced function costs over the bare one when tracing is off
  empty        a span inside a session, with nothing in it
  0.8 kB ...   a span with a chat of that size as inputs and a short output
  unmasked     the same with redact=False: opentelemetry-sdk masks nothing either
  nested       spans ten deep, 0.8 kB each, per span
  sampled out  a span of a session that is not recorded
  session      a session opened and closed, with nothing in it; a root span of opentelemetry-sdk's
  decorated    a traced function, an awaited one, with 0.8 kB as argument
  chunk        one chunk of a traced generator over one of the bare generator

*repeated* gives the same texts at every call, *fresh* texts that no call has had: what remembers
texts it has found clean, as our masking does with long ones, is faster with the first. Where our
compiled part is not in use a note says so; ``python tools/pure.py benchmarks/capture.py`` measures
without it.

The time is that of the calling thread: what capture takes from the user. With --wall it is the
time on the clock, in which the background threads of both compete for the interpreter. Between
rounds both have a moment to work off what they hold, as they would in a program that also waits
for its models. Ours goes the whole way: to a spool in a temporary directory and on to a sink in
another process. OpenTelemetry's spans go through a BatchSpanProcessor (queue wide enough for the
run) to an exporter that throws them away; payloads become JSON attributes, as its LLM
instrumentations write them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
from harness import Bench, Column, Table
from payloads import ANSWER, Messages, fresh, repeated
from plot import Bar, Bars
from sink import Sink

import sessiontrace as st
from sessiontrace.capture.encoding import fast_path, record_body
from sessiontrace.capture.redaction import patterns
from sessiontrace.spool import frame

PAUSE_S = 0.00005  # after a case, for each of a round's calls
WARM_UP = 2
DEEP = 10
CHUNKS = 100
SIZES = {"0.8 kB": 1.0, "10 kB": 0.3, "1 MB": 0.01}
"""Share of a round's calls that a size gets."""

Values = Callable[[int], list[Any]]


@attrs.frozen
class Case:
    """Calls of one sort: what each is given, spans (or chunks) in one, its share of the calls."""

    call: Callable[[Any], object]
    values: Values
    per: int = 1
    share: float = 1.0


def once(case: Case, count: int, clock: Callable[[], float]) -> float:
    """Microseconds a span, over ``count`` calls."""
    values = case.values(max(int(count * case.share / case.per), 3))
    call = case.call
    gc.collect()
    begun = clock()
    for value in values:
        call(value)
    return (clock() - begun) / (len(values) * case.per) * 1e6


def nothing(count: int) -> list[Any]:
    return [None] * count


def sized(size: str, make: Callable[[int, str], list[Messages]]) -> Values:
    return lambda count: make(count, size)


def bare(chat: Messages) -> dict[str, str]:
    return ANSWER


async def bare_later(chat: Messages) -> dict[str, str]:
    return ANSWER


def awaiting(function: Callable[[Messages], Any]) -> Callable[[list[Messages]], None]:
    """Calls of an async function, all in one run of a loop."""
    loop = asyncio.new_event_loop()

    async def main(chats: list[Messages]) -> None:
        for chat in chats:
            await function(chat)

    return lambda chats: loop.run_until_complete(main(chats))


def many(values: Values) -> Values:
    """The values of a hundred calls as one."""
    return lambda count: [values(CHUNKS) for _ in range(count)]


def chunks(_: Any) -> Iterator[str]:
    for _ in range(CHUNKS):
        yield "word "


def common(cases: dict[str, Case], payload: Callable[[Messages], None], later: Any) -> None:
    """The cases that both have for each size and sort of texts."""
    for size, share in SIZES.items():
        for name, make in (("repeated", repeated), ("fresh", fresh)):
            cases[f"{size}, {name}"] = Case(payload, sized(size, make), share=share)
    for name, make in (("repeated", repeated), ("fresh", fresh)):
        values = many(sized("0.8 kB", make))
        cases[f"decorated async, {name}"] = Case(awaiting(later), values, CHUNKS)


def ours(root: Path, url: str) -> tuple[dict[str, Case], Callable[[], None]]:
    """Our cases, each tracer's inside one open session, and how to finish."""

    def opened(name: str, **options: Any) -> st.Tracer:
        there = st.HoneyHive(api_key="benchmark", base_url=url)
        tracer = st.Tracer(there, spool=root / name, exit_timeout=0, **options)
        tracer.session("benchmark").__enter__()
        return tracer

    tracer, unmasked = opened("masked"), opened("unmasked", redact=False)
    rare = opened("rare", sample=0.0)
    off = st.Tracer(enabled=False)
    there = st.HoneyHive(api_key="benchmark", base_url=url)
    sessions = st.Tracer(there, spool=root / "sessions", exit_timeout=0)

    def spans(tracer: st.Tracer) -> Callable[[Messages], None]:
        def payload(chat: Messages) -> None:
            with tracer.span("step", type="model", inputs={"messages": chat}) as span:
                span.set(outputs=ANSWER)

        return payload

    def empty(_: None) -> None:
        with tracer.span("step"):
            pass

    def session(_: None) -> None:
        with sessions.session("benchmark"):
            pass

    def nested(chats: list[Messages]) -> None:
        down(chats, 0)

    def down(chats: list[Messages], depth: int) -> None:
        with tracer.span("step", type="chain", inputs={"messages": chats[depth]}) as span:
            if depth + 1 < DEEP:
                down(chats, depth + 1)
            span.set(outputs=ANSWER)

    traced_chunks = tracer.trace(chunks)
    small = sized("0.8 kB", fresh)
    cases = {
        "disabled": Case(off.trace(bare), sized("0.8 kB", repeated)),
        "empty": Case(empty, nothing),
    }
    common(cases, spans(tracer), tracer.trace(bare_later))
    cases |= {
        "unmasked, repeated": Case(spans(unmasked), sized("0.8 kB", repeated)),
        "unmasked, fresh": Case(spans(unmasked), small),
        "nested 10 deep, fresh": Case(nested, lambda n: [small(DEEP) for _ in range(n)], DEEP),
        "sampled out": Case(spans(rare), small),
        "session": Case(session, nothing, share=0.2),
        "decorated, fresh": Case(tracer.trace(bare), small),
        "generator chunk": Case(lambda _: list(traced_chunks(None)), nothing, CHUNKS),
    }

    def finish() -> None:
        for tracer_of_case in (tracer, unmasked, rare, sessions):
            tracer_of_case.shutdown(timeout=60)

    return cases, finish


def opentelemetry() -> tuple[dict[str, Case], Callable[[], None]] | None:
    """OpenTelemetry's cases inside one open span, or None where it is not installed."""
    try:
        from opentelemetry.context import Context
        from opentelemetry.sdk.trace import TracerProvider, sampling
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            SpanExporter,
            SpanExportResult,
        )
        from opentelemetry.trace import NoOpTracer, get_current_span
    except ImportError:
        return None

    class Taker(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Taker(), max_queue_size=200_000))
    tracer = provider.get_tracer("benchmark")
    rare = TracerProvider(sampler=sampling.ALWAYS_OFF).get_tracer("benchmark")
    outer = tracer.start_as_current_span("benchmark")
    outer.__enter__()

    def spans(tracer: Any) -> Callable[[Messages], None]:
        def payload(chat: Messages) -> None:
            with tracer.start_as_current_span("step") as span:
                if span.is_recording():
                    span.set_attribute("gen_ai.input.messages", json.dumps(chat))
                    span.set_attribute("gen_ai.output.messages", json.dumps(ANSWER))

        return payload

    @tracer.start_as_current_span("step")
    async def later(chat: Messages) -> dict[str, str]:
        span = get_current_span()
        span.set_attribute("gen_ai.input.messages", json.dumps(chat))
        answer = await bare_later(chat)
        span.set_attribute("gen_ai.output.messages", json.dumps(answer))
        return answer

    def empty(_: None) -> None:
        with tracer.start_as_current_span("step"):
            pass

    def root(_: None) -> None:
        with tracer.start_as_current_span("benchmark", context=Context()):
            pass

    def down(chats: list[Messages], depth: int = 0) -> None:
        with tracer.start_as_current_span("step") as span:
            span.set_attribute("gen_ai.input.messages", json.dumps(chats[depth]))
            if depth + 1 < DEEP:
                down(chats, depth + 1)
            span.set_attribute("gen_ai.output.messages", json.dumps(ANSWER))

    payload = spans(tracer)
    small = sized("0.8 kB", fresh)
    disabled = NoOpTracer().start_as_current_span("step")(bare)
    cases = {
        "disabled": Case(disabled, sized("0.8 kB", repeated)),
        "empty": Case(empty, nothing),
    }
    common(cases, payload, later)
    cases |= {
        "unmasked, repeated": Case(payload, sized("0.8 kB", repeated)),
        "unmasked, fresh": Case(payload, small),
        "nested 10 deep, fresh": Case(down, lambda n: [small(DEEP) for _ in range(n)], DEEP),
        "sampled out": Case(spans(rare), small),
        "session": Case(root, nothing, share=0.2),
        "decorated, fresh": Case(payload, small),
    }

    def finish() -> None:
        outer.__exit__(None, None, None)
        provider.shutdown()

    return cases, finish


BARE = {
    "disabled": Case(bare, sized("0.8 kB", repeated)),
    "decorated async, repeated": Case(
        awaiting(bare_later), many(sized("0.8 kB", repeated)), CHUNKS
    ),
    "decorated async, fresh": Case(awaiting(bare_later), many(sized("0.8 kB", fresh)), CHUNKS),
    "generator chunk": Case(lambda _: list(chunks(None)), nothing, CHUNKS),
}
"""The same calls without tracing: taken off from the others."""

Taken = dict[tuple[str, str], list[float]]


def measure(
    cases: dict[tuple[str, str], Case],
    count: int,
    rounds: int,
    clock: Callable[[], float],
    step: Callable[[str], None],
) -> Taken:
    """Every case once in each round, those of one row one after the other."""
    taken: Taken = {name: [] for name in cases}
    for number in range(-WARM_UP, rounds):
        for name, case in cases.items():
            time.sleep(count * PAUSE_S)
            figure = once(case, count, clock)
            if number >= 0:
                taken[name].append(figure)
        step(f"round {max(number, 0) + 1}")
    return taken


def rows_of(taken: Taken) -> list[dict[str, Any]]:
    """A row for each case: medians, less the bare call where there is one."""
    median = {name: statistics.median(figures) for name, figures in taken.items()}
    rows = []
    for row in dict.fromkeys(name for name, _ in taken):
        less = median.get((row, "bare"), 0.0)
        own, other = median[row, "sessiontrace"] - less, median.get((row, "opentelemetry"))
        found: dict[str, Any] = {"case": row, "us": own}
        if other is not None:
            found |= {"opentelemetry_us": other - less, "ratio": own / max(other - less, 1e-3)}
        rows.append(found)
    return rows


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--count", full=1_000, quick=100, help="calls a round")
    bench.option("--rounds", full=15, quick=2, help="rounds")
    bench.flag("--wall", help="time on the clock, not the thread's")
    options = bench.start()
    clock = time.perf_counter if options.wall else time.thread_time
    with Sink() as sink, tempfile.TemporaryDirectory() as scratch:
        own, finish = ours(Path(scratch), sink.url)
        peer = opentelemetry()
        sorts = {"sessiontrace": own, "opentelemetry": peer[0] if peer else {}, "bare": BARE}
        cases = {(row, sort): of[row] for row in own for sort, of in sorts.items() if row in of}
        with bench.progress(options.rounds + WARM_UP) as step:
            taken = measure(cases, options.count, options.rounds, clock, step)
        finish()
        if peer is not None:
            peer[1]()
    rows = rows_of(taken)
    columns = (
        Column("case", "us a span (median)"),
        Column("us", "sessiontrace", ".2f"),
        Column("opentelemetry_us", "opentelemetry", ".2f"),
        Column("ratio", "ratio", ".2f"),
    )
    notes = [] if peer else ["opentelemetry-sdk is not installed: nothing to compare with"]
    if not all(module.COMPILED for module in (fast_path, patterns, record_body, frame)):
        notes.append("sessiontrace runs without its compiled part")
    bars = []
    for row in rows:
        bars.append(Bar(row["case"], row["us"], own=True))
        if "opentelemetry_us" in row:
            bars.append(Bar("opentelemetry-sdk", row["opentelemetry_us"]))
    plot = Bars("Capture on the calling thread", bars, "us", log=True)
    bench.finish(Table("capture", columns, rows, "; ".join(notes)), plot=plot)


if __name__ == "__main__":
    main()
