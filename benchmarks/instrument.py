"""What auto-instrumentation adds to a call: the same calls with it and without, in turns.

The clients talk to a transport in the same process, so that the network is not measured. Where
OpenInference's instrumentors are installed they take their turns between, in the same process:
`uv pip install openinference-instrumentation-openai openinference-instrumentation-anthropic
opentelemetry-sdk` into an environment that has sessiontrace.

What a tracer adds is the median, over all rounds, of the difference between its block of calls and
the block without a tracer of that round. A block counts by the lower quartile of its calls, and the
tracers take turns in being first. `error` is half of the 95 % interval of that median. A goal is
met or missed where its limit is outside of the interval, and `unclear` where it is inside: then the
machine was not quiet, or needs more `--rounds`.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import subprocess_run
from harness import Bench, Column, Table
from nowhere import Nowhere
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


def measure(library: str, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """In a process of its own: by call and tracer, what the call takes and what is added, in us."""
    tracers: dict[str, Switch] = {"bare": (void, void), "sessiontrace": ours(library)}
    if is_installed(f"openinference.instrumentation.{library}"):
        tracers["OpenInference"] = theirs(library)
    figures = {}
    for name, job in jobs(library).items():
        size = 3 if "stream" in name else 30
        blocks: dict[str, list[float]] = {who: [] for who in tracers}
        order = list(tracers)
        for _ in range(rounds):
            gc.collect()
            for who in order:
                on, off = tracers[who]
                on()
                blocks[who].append(block_of(job, size))
                off()
            order.append(order.pop(0))
        figures[name] = {who: added(blocks[who], blocks["bare"]) for who in tracers}
    return figures


def block_of(job: Callable[[], Any], size: int) -> float:
    """The lower quartile of what some calls take, after one that is not counted."""
    job()
    times = []
    for _ in range(size):
        start = time.thread_time_ns()  # of this thread: the machine has other work too
        job()
        times.append((time.thread_time_ns() - start) / 1000)
    return statistics.quantiles(times, n=4)[0]


def added(blocks: list[float], bare: list[float]) -> dict[str, float]:
    """The median block, the median of the differences to the bare ones, and its error."""
    differences = [block - other for block, other in zip(blocks, bare, strict=True)]
    low, middle, high = statistics.quantiles(differences, n=4)
    # Half of the 95 % interval of a median: McGill, Tukey and Larsen, "Variations of Box Plots".
    error = 1.57 * (high - low) / len(differences) ** 0.5
    return {"us": statistics.median(blocks), "added": middle, "error": error}


def rows_of(library: str, call: str, figures: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """What one call of each tracer takes, and what of it is the tracing."""
    return [
        {
            "who": who,
            "library": library,
            "call": call,
            "bare_us": figures["bare"]["us"],
            "traced_us": figure["us"],
            "added_us": figure["added"],
            "error_us": figure["error"],
        }
        for who, figure in figures.items()
        if who != "bare"
    ]


def add_chunks(rows: list[dict[str, Any]]) -> None:
    """What a chunk adds: what a stream adds beyond a call that is not streamed."""
    calls = {(row["who"], row["library"], row["call"]): row for row in rows}
    for row in rows:
        if "stream" in row["call"]:
            call = calls[row["who"], row["library"], row["call"].replace("stream", "call")]
            row["chunk_us"] = (row["added_us"] - call["added_us"]) / CHUNKS
            row["chunk_error_us"] = (row["error_us"] + call["error_us"]) / CHUNKS


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The goals for each library, and what was measured of them."""
    table = []
    theirs = {(row["library"], row["call"]): row for row in rows if row["who"] == "OpenInference"}
    for row in rows:
        if row["who"] != "sessiontrace" or row["call"] == "ignored route":
            continue
        is_call = "call" in row["call"]
        us, error, limit = (
            (row["added_us"], row["error_us"], CALL_US)
            if is_call
            else (row["chunk_us"], row["chunk_error_us"], CHUNK_US)
        )
        goal = {
            "goal": f"{row['library']}, {row['call']}" + ("" if is_call else ", a chunk"),
            "limit_us": limit,
            "us": us,
            "error_us": error,
            "met": verdict(us, error, limit),
        }
        if other := theirs.get((row["library"], row["call"])):
            share = row["added_us"] / other["added_us"]
            error = share * (
                row["error_us"] / row["added_us"] + other["error_us"] / other["added_us"]
            )
            goal |= {"share": share, "share_met": verdict(share, error, SHARE)}
        table.append(goal)
    return table


def verdict(figure: float, error: float, limit: float) -> str:
    """Whether a figure with this error keeps a limit."""
    if figure + error <= limit:
        return "yes"
    return "NO" if figure - error > limit else "unclear"


def main() -> None:
    """Measure each library in a process of its own."""
    if subprocess_run.answer(measure):
        return
    bench = Bench(__doc__)
    bench.option("--rounds", full=60, quick=4, help="rounds of blocks of each sort of call")
    options = bench.start()
    columns = (
        Column("who", "traced by"),
        Column("library", "library"),
        Column("call", "call"),
        Column("bare_us", "bare us"),
        Column("traced_us", "traced us"),
        Column("added_us", "added us"),
        Column("error_us", "error"),
        Column("chunk_us", "a chunk", ".2f"),
    )
    rows: list[dict[str, Any]] = []
    libraries = [library for library in LIBRARIES if is_installed(library)]
    with bench.progress(len(libraries)) as step:
        for library in libraries:
            figures = subprocess_run.ask(library=library, rounds=options.rounds)
            for call, times in figures.items():
                rows += rows_of(library, call, times)
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
        Column("error_us", "error", ".2f"),
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
