"""What auto-instrumentation adds to a call: the same calls with it and without, interleaved.

The client talks to a transport in the same process, so that the network is not measured. With
openinference-instrumentation-openai installed it runs as well, in a process of its own like ours.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import subprocess_run
from harness import Bench, Column, Table
from plot import Bar, Bars

CHUNKS = 200


def client_of(kind: str) -> Any:
    """An openai client whose answers come from memory."""
    import httpx2
    import openai

    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    common = {"id": "c", "created": 1, "model": "m"}
    message = {"role": "assistant", "content": "A short answer, as they are."}
    whole = {
        **common,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    lines = []
    for number in range(CHUNKS):
        choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
        chunk = {**common, "object": "chat.completion.chunk", "choices": [choice]}
        lines.append(f"data: {json.dumps(chunk)}\n\n")
    stream = ("".join(lines) + "data: [DONE]\n\n").encode()

    def answer(request: Any) -> Any:
        if request.url.path.endswith("/moderations"):
            return httpx2.Response(200, json={"id": "m", "model": "m", "results": []})
        if b'"stream":true' in request.content:
            return httpx2.Response(
                200, content=stream, headers={"content-type": "text/event-stream"}
            )
        return httpx2.Response(200, json=whole)

    if kind == "async":
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        return openai.AsyncOpenAI(api_key="k", base_url="http://stub/v1", http_client=http)
    return openai.OpenAI(
        api_key="k",
        base_url="http://stub/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )


MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant. " * 10},
    {"role": "user", "content": "What is the capital of Norway? " * 10},
]


def jobs() -> dict[str, Callable[[], Any]]:
    """What is measured; each makes one call."""
    client = client_of("sync")
    later = client_of("async")
    loop = asyncio.new_event_loop()
    create = client.chat.completions.create

    async def ask() -> None:
        await later.chat.completions.create(model="m", messages=MESSAGES)

    async def read() -> None:
        async for _ in await later.chat.completions.create(
            model="m", messages=MESSAGES, stream=True
        ):
            pass

    return {
        "call": lambda: create(model="m", messages=MESSAGES, temperature=0.5),
        "async call": lambda: loop.run_until_complete(ask()),
        "stream": lambda: [chunk for chunk in create(model="m", messages=MESSAGES, stream=True)],  # noqa: C416
        "async stream": lambda: loop.run_until_complete(read()),
        "ignored route": lambda: client.moderations.create(input="x"),
    }


class Nowhere:
    """A tracer whose records are made and dropped, so that only the user's thread is measured."""

    off = False

    def __init__(self) -> None:
        from sessiontrace.capture.frame_headers import FrameHeaders
        from sessiontrace.capture.session import Session
        from sessiontrace.capture.tracer_state import TracerState

        self.recorder: Any = TracerState(
            offer=lambda head, body: True,
            drop=void,
            current=ContextVar("benchmark", default=None),
            new_session=Session,
            frame_headers=FrameHeaders(b" start * ", b" event * ", b" end * "),
            source="benchmark",
            service="benchmark",
        )

    def begin(self) -> Any:
        """The recorder."""
        return self.recorder


def ours() -> tuple[Callable[[], None], Callable[[], None]]:
    """On and off, inside one session."""
    from sessiontrace.capture.session import Session
    from sessiontrace.instrumentation.registry import Instruments

    nowhere = Nowhere()
    instruments = Instruments(nowhere)
    Session(nowhere, "benchmark").__enter__()
    return (lambda: void(instruments.add(("openai",), ()))), instruments.remove


def theirs() -> tuple[Callable[[], None], Callable[[], None]]:
    """OpenInference on and off, with spans that go nowhere but are made."""
    from openinference.instrumentation.openai import OpenAIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider = TracerProvider()
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))

    def on() -> None:
        memory.clear()
        OpenAIInstrumentor().instrument(tracer_provider=provider)

    return on, OpenAIInstrumentor().uninstrument


def void(_: object) -> None:
    """Drop a result."""


def measure(who: str, calls: int) -> dict[str, dict[str, float]]:
    """In a process of its own: blocks of calls with and without, in turns; p10 and p50."""
    on, off = {"sessiontrace": ours, "OpenInference": theirs}[who]()
    found: dict[str, dict[str, float]] = {}
    for name, job in jobs().items():
        per_block = 5 if "stream" in name else 50
        times: dict[bool, list[float]] = {True: [], False: []}
        for block in range(max(4, calls // per_block // (10 if "stream" in name else 1))):
            active = bool(block % 2)
            if active:
                on()
            job()
            for _ in range(per_block):
                start = time.thread_time_ns()  # of this thread: the machine has other work too
                job()
                times[active].append((time.thread_time_ns() - start) / 1000)
            if active:
                off()
        found[name] = {
            f"{what} {label}": quantile
            for what, active in (("bare", False), ("traced", True))
            for label, quantile in zip(
                ("p10", "p50"), statistics.quantiles(times[active], n=10)[0:5:4], strict=True
            )
        }
    return found


def row_of(who: str, call: str, taken: dict[str, float]) -> dict[str, Any]:
    """What one call of one tracer takes, and what of it is the tracing."""
    low = taken["traced p10"] - taken["bare p10"]
    row = {
        "who": who,
        "call": call,
        "bare_us": taken["bare p10"],
        "traced_us": taken["traced p10"],
        "added_us": low,
        "added_p50_us": taken["traced p50"] - taken["bare p50"],
    }
    return row | ({"chunk_us": low / CHUNKS} if "stream" in call else {})


def main() -> None:
    """Measure each tracer in a process of its own."""
    if subprocess_run.answer(measure):
        return
    bench = Bench(__doc__)
    bench.option("--calls", full=2000, quick=100, help="calls of a sort")
    options = bench.start()
    tracers = ["sessiontrace"]
    if importlib.util.find_spec("openinference") is not None:
        tracers.append("OpenInference")
    columns = (
        Column("who", "traced by"),
        Column("call", "call"),
        Column("bare_us", "bare us"),
        Column("traced_us", "traced us"),
        Column("added_us", "added us"),
        Column("added_p50_us", "p50"),
        Column("chunk_us", "a chunk", ".2f"),
    )
    if importlib.util.find_spec("openai") is None:
        bench.finish(Table("calls", columns, [], "openai is not installed: make contract"),
                     plot=Bars("What instrumentation adds to a call", []))  # fmt: skip
        return
    rows = []
    with bench.progress(len(tracers)) as step:
        for who in tracers:
            found = subprocess_run.ask(who=who, calls=options.calls)
            rows += [row_of(who, call, taken) for call, taken in found.items()]
            step(who)
    bars = [
        Bar(f"{row['who']}, {row['call']}", max(row["added_us"], 0.0), row["who"] == tracers[0])
        for row in rows
    ]
    bench.finish(
        Table("calls", columns, rows),
        plot=Bars("What instrumentation adds to a call", bars, "us"),
    )


if __name__ == "__main__":
    main()
