"""What auto-instrumentation adds to a call: the same calls with it and without, in turns.

The clients talk to a transport in the same process, so that the network is not measured. Where
OpenInference's instrumentors are installed they take their turns between, in the same process:
`uv pip install openinference-instrumentation-openai openinference-instrumentation-anthropic
opentelemetry-sdk` into an environment that has sessiontrace.
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
LIBRARIES = ("openai", "anthropic")
CALL_US, CHUNK_US, SHARE = 60.0, 2.0, 1 / 4  # the goals

Switch = tuple[Callable[[], None], Callable[[], None]]


def openai_replies() -> tuple[Any, bytes]:
    """An answer of OpenAI's, whole and as a stream."""
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
    return whole, ("".join(lines) + "data: [DONE]\n\n").encode()


def anthropic_replies() -> tuple[Any, bytes]:
    """An answer of Anthropic's, whole and as a stream."""
    whole = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "A short answer, as they are."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 5},
    }
    block = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    for number in range(CHUNKS):
        delta = {"type": "text_delta", "text": f"word{number} "}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events += [
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return whole, "".join(lines).encode()


def clients_of(library: str) -> tuple[Any, Any]:
    """A client and an async client of a library, whose answers come from memory."""
    import httpx2

    whole, stream = openai_replies() if library == "openai" else anthropic_replies()

    def answer(request: Any) -> Any:
        if request.url.path.endswith("/models"):
            return httpx2.Response(200, json={"object": "list", "data": []})
        if b'"stream":true' in request.content:
            return httpx2.Response(
                200, content=stream, headers={"content-type": "text/event-stream"}
            )
        return httpx2.Response(200, json=whole)

    transport = httpx2.MockTransport(answer)
    where = {"api_key": "k", "base_url": "http://stub/v1"}
    http, later = httpx2.Client(transport=transport), httpx2.AsyncClient(transport=transport)
    if library == "openai":
        import openai

        return openai.OpenAI(**where, http_client=http), openai.AsyncOpenAI(
            **where, http_client=later
        )
    import anthropic

    return anthropic.Anthropic(**where, http_client=http), anthropic.AsyncAnthropic(
        **where, http_client=later
    )


MESSAGES = [{"role": "user", "content": "What is the capital of Norway? " * 20}]


def jobs(library: str) -> dict[str, Callable[[], Any]]:
    """What is measured; each makes one call."""
    client, later = clients_of(library)
    loop = asyncio.new_event_loop()
    request: dict[str, Any] = {"model": "m", "messages": MESSAGES, "max_tokens": 9}
    is_openai = library == "openai"
    place = client.chat.completions if is_openai else client.messages
    place_later = later.chat.completions if is_openai else later.messages

    # `create` is looked up at each call, because some tracers exchange it.
    async def ask() -> None:
        await place_later.create(**request)

    async def read() -> None:
        async for _ in await place_later.create(**request, stream=True):
            pass

    return {
        "call": lambda: place.create(**request),
        "async call": lambda: loop.run_until_complete(ask()),
        "stream": lambda: [chunk for chunk in place.create(**request, stream=True)],  # noqa: C416
        "async stream": lambda: loop.run_until_complete(read()),
        "ignored route": lambda: client.models.list(),
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


def ours(library: str) -> Switch:
    """On and off, inside one session."""
    from sessiontrace.capture.session import Session
    from sessiontrace.instrumentation.registry import Instruments

    nowhere = Nowhere()
    instruments = Instruments(nowhere)
    Session(nowhere, "benchmark").__enter__()
    return (lambda: void(instruments.add((library,), ()))), instruments.remove


def theirs(library: str) -> Switch:
    """OpenInference on and off, with spans that go nowhere but are made."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    if library == "openai":
        from openinference.instrumentation.openai import OpenAIInstrumentor as Instrumentor
    else:
        from openinference.instrumentation.anthropic import AnthropicInstrumentor as Instrumentor
    provider = TracerProvider()
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    instrumentor = Instrumentor()

    def on() -> None:
        memory.clear()
        instrumentor.instrument(tracer_provider=provider)

    return on, instrumentor.uninstrument


def void(_: object = None) -> None:
    """Drop a result."""


def is_installed(module: str) -> bool:
    """Whether a module, of a namespace or not, can be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def measure(library: str, calls: int) -> dict[str, dict[str, float]]:
    """In a process of its own: blocks of calls of each tracer and of none, in turns; p10, p50."""
    tracers: dict[str, Switch] = {"bare": (void, void), "sessiontrace": ours(library)}
    if is_installed(f"openinference.instrumentation.{library}"):
        tracers["OpenInference"] = theirs(library)
    figures: dict[str, dict[str, float]] = {}
    for name, job in jobs(library).items():
        per_block = 5 if "stream" in name else 50
        times: dict[str, list[float]] = {who: [] for who in tracers}
        for _ in range(max(3, calls // per_block // (10 if "stream" in name else 1) // 2)):
            for who, (on, off) in tracers.items():
                on()
                job()
                for _ in range(per_block):
                    start = time.thread_time_ns()  # of this thread: the machine has other work too
                    job()
                    times[who].append((time.thread_time_ns() - start) / 1000)
                off()
        figures[name] = {
            f"{who} {label}": quantile
            for who in tracers
            for label, quantile in zip(
                ("p10", "p50"), statistics.quantiles(times[who], n=10)[0:5:4], strict=True
            )
        }
    return figures


def rows_of(library: str, call: str, figures: dict[str, float]) -> list[dict[str, Any]]:
    """What one call of each tracer takes, and what of it is the tracing."""
    rows = []
    for who in ("sessiontrace", "OpenInference"):
        if f"{who} p10" in figures:
            low = figures[f"{who} p10"] - figures["bare p10"]
            row = {
                "who": who,
                "library": library,
                "call": call,
                "bare_us": figures["bare p10"],
                "traced_us": figures[f"{who} p10"],
                "added_us": low,
                "added_p50_us": figures[f"{who} p50"] - figures["bare p50"],
            }
            rows.append(row)
    return rows


def add_chunks(rows: list[dict[str, Any]]) -> None:
    """What a chunk adds: what a stream adds beyond a call that is not streamed."""
    added = {(row["who"], row["library"], row["call"]): row["added_us"] for row in rows}
    for row in rows:
        if "stream" in row["call"]:
            call = row["call"].replace("stream", "call")
            beyond = row["added_us"] - added[row["who"], row["library"], call]
            row["chunk_us"] = beyond / CHUNKS


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The goals for each library, and what was measured of them."""
    table = []
    for row in rows:
        if row["who"] != "sessiontrace" or row["call"] == "ignored route":
            continue
        figure, limit = ("added_us", CALL_US) if "call" in row["call"] else ("chunk_us", CHUNK_US)
        goal = {
            "goal": f"{row['library']}, {row['call']}" + (", a chunk" if limit == CHUNK_US else ""),
            "limit_us": limit,
            "us": row[figure],
            "met": "yes" if row[figure] <= limit else "NO",
        }
        others = [
            other
            for other in rows
            if (other["library"], other["call"]) == (row["library"], row["call"])
            and other["who"] == "OpenInference"
        ]
        if others:
            share = row["added_us"] / others[0]["added_us"]
            goal |= {"share": share, "share_met": "yes" if share <= SHARE else "NO"}
        table.append(goal)
    return table


def main() -> None:
    """Measure each library in a process of its own."""
    if subprocess_run.answer(measure):
        return
    bench = Bench(__doc__)
    bench.option("--calls", full=2000, quick=100, help="calls of a sort")
    options = bench.start()
    columns = (
        Column("who", "traced by"),
        Column("library", "library"),
        Column("call", "call"),
        Column("bare_us", "bare us"),
        Column("traced_us", "traced us"),
        Column("added_us", "added us"),
        Column("added_p50_us", "p50"),
        Column("chunk_us", "a chunk", ".2f"),
    )
    rows: list[dict[str, Any]] = []
    libraries = [library for library in LIBRARIES if is_installed(library)]
    with bench.progress(len(libraries)) as step:
        for library in libraries:
            figures = subprocess_run.ask(library=library, calls=options.calls)
            for call, taken in figures.items():
                rows += rows_of(library, call, taken)
            step(library)
    add_chunks(rows)
    bars = [
        Bar(
            f"{row['who']}, {row['library']}, {row['call']}",
            max(row["added_us"], 0.0),
            row["who"] == "sessiontrace",
        )
        for row in rows
    ]
    note = "" if libraries else "openai and anthropic are not installed: make contract"
    judged = (
        Column("goal", "goal"),
        Column("limit_us", "at most us"),
        Column("us", "us", ".2f"),
        Column("met", "met"),
        Column("share", "of OpenInference's", ".2f"),
        Column("share_met", f"at most {SHARE}"),
    )
    bench.finish(
        Table("calls", columns, rows, note),
        Table("goals", judged, goals(rows)),
        plot=Bars("What instrumentation adds to a call", bars, "us"),
    )


if __name__ == "__main__":
    main()
