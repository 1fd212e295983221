"""What auto-instrumentation adds to a call: the same calls with it and without, interleaved.

    python benchmarks/instrument.py [--calls 2000]

The client talks to a transport in the same process, so that the network is not measured. With
openinference-instrumentation-openai installed it runs as well, in a process of its own like ours.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

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
        from sessiontrace.capture.recorder import Heads, Recorder

        self.recorder: Any = Recorder(
            offer=lambda head, body: True,
            drop=void,
            current=ContextVar("benchmark", default=None),
            heads=Heads(b" start * ", b" event * ", b" end * "),
            source="benchmark",
            service="benchmark",
        )

    def begin(self) -> Any:
        """The recorder."""
        return self.recorder


def ours() -> tuple[Callable[[], None], Callable[[], None]]:
    """On and off, inside one session."""
    from sessiontrace.capture.session import Session
    from sessiontrace.instrumentation.catalogue import Instruments

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


def measure(
    switch: Callable[[], tuple[Callable[[], None], Callable[[], None]]], calls: int
) -> None:
    """Blocks of calls with and without, in turns; p10 and p50 go to stdout as JSON."""
    on, off = switch()
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
    print(json.dumps(found))


def main() -> None:
    """Measure each tracer in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--measure", choices=["ours", "theirs"])
    options = parser.parse_args()
    if options.measure:
        measure({"ours": ours, "theirs": theirs}[options.measure], options.calls)
        return
    tracers = {"sessiontrace": "ours"}
    if importlib.util.find_spec("openinference") is not None:
        tracers["OpenInference"] = "theirs"
    print(f"{'':31}{'bare':>10}{'traced':>10}{'added p10':>11}{'p50':>8}   microseconds")
    for tracer, word in tracers.items():
        command = [sys.executable, __file__, "--calls", str(options.calls), "--measure", word]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for name, taken in json.loads(done.stdout.splitlines()[-1]).items():
            low = taken["traced p10"] - taken["bare p10"]
            middle = taken["traced p50"] - taken["bare p50"]
            line = f"{tracer:16}{name:15}{taken['bare p10']:10.1f}{taken['traced p10']:10.1f}"
            line += f"{low:11.1f}{middle:8.1f}"
            if "stream" in name:
                line += f"   {low / CHUNKS:.2f} a chunk"
            print(line)


if __name__ == "__main__":
    main()
