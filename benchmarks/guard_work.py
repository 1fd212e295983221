"""The work whose instructions ``guard`` counts; of no use by itself.

One thread. Callgrind begins a new count at each call of the C library's ``getloadavg``, so one
process has all cases. Invariant: every run does the same work. The clock is a counter for that:
under callgrind a millisecond passes with every span, and each begins with work for its ids.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from nowhere import Nowhere
from payloads import ANSWER, Messages, fresh, repeated

import sessiontrace as st
from sessiontrace.export.protocol import Batch
from sessiontrace.model import ids
from sessiontrace.model.record import Record, Records
from sessiontrace.vendors import registry
from sessiontrace.vendors.vendor import PipelineServices

SPANS, SESSIONS, STEPS, BATCHES = 200, 50, 10, 10

Work = Callable[[], object]


def captures() -> Iterator[tuple[str, int, Work]]:
    """What runs in the user's thread, as name, number of operations and work."""
    nowhere = Nowhere(redact=True)
    seen, texts = repeated(SPANS), fresh(2 * SPANS)

    def spans(chats: list[Messages]) -> None:
        for chat in chats:
            with nowhere.span("step", type="model", inputs={"chat_history": chat}) as span:
                span.set(outputs=ANSWER)

    def empty() -> None:
        for _ in range(SPANS):
            with nowhere.span("step"):
                pass

    def sessions() -> None:
        for _ in range(SESSIONS):
            with nowhere.session("chat"):
                pass

    @nowhere.trace
    def answer(chat: Messages) -> dict[str, str]:
        return ANSWER

    def calls() -> None:
        for chat in seen:
            answer(chat)

    with nowhere.session("benchmark"):
        yield "empty span", SPANS, empty
        yield "span, 0.8 kB", SPANS, lambda: spans(seen)
        yield "span, 0.8 kB, new texts", SPANS, lambda: spans([texts.pop() for _ in range(SPANS)])
        yield "decorated call, 0.8 kB", SPANS, calls
    yield "session", SESSIONS, sessions
    with nowhere.session("benchmark", sample=0.0):
        yield "sampled-out span, 0.8 kB", SPANS, lambda: spans(seen)
        yield "sampled-out decorated call", SPANS, calls


def destinations() -> dict[str, Any]:
    """A destination of each kind; none is connected to."""
    url = "http://127.0.0.1:1"
    return {
        "honeyhive": st.HoneyHive(api_key="benchmark", base_url=url),
        "humanloop": st.Humanloop(api_key="benchmark", base_url=f"{url}/v5"),
        "posthog": st.PostHog(api_key="phc_benchmark", base_url=url),
        "otlp": st.OTLP(endpoint=url, protobuf=False),
        "otlp protobuf": st.OTLP(endpoint=url, protobuf=True),
    }


def agents() -> Records:
    """Some sessions of ten steps each."""
    records = Records()

    def offer(head: bytes, body: bytes) -> bool:
        kind, route = head.split()
        records.append(Record(kind, route, body))
        return True

    nowhere = Nowhere(offer)
    for _ in range(BATCHES):
        with nowhere.session("agent"):
            for chat in fresh(STEPS):
                with nowhere.span("step", type="model", inputs={"chat_history": chat}) as span:
                    span.set(outputs=ANSWER)
    return records


def encodings() -> Iterator[tuple[str, int, Work]]:
    """What the sender does to a batch of agents' records, for each vendor."""
    records = agents()
    for name, destination in destinations().items():
        exporter = registry.vendor_of(destination).connect(destination, PipelineServices()).exporter

        def encode(exporter: Any = exporter) -> None:
            batch = Batch(records)
            for stage in exporter.encode(batch):
                for request in stage:
                    for piece in request.content:
                        len(piece)

        yield f"{name}, event of a session of {STEPS}", BATCHES * STEPS, encode


agents_records = agents()


def counting() -> None:
    """A clock that goes on by 3 us at each look."""
    clock = itertools.count(1_790_000_000_000_000_000, 3_000)
    ids.pin(clock.__next__, ids._draw)


def main() -> None:
    """Each case once to warm up, and once to be counted."""
    counting()
    names = []
    for name, operations, work in itertools.chain(captures(), encodings()):
        work()
        gc.collect()
        gc.freeze()  # the collector then goes through what the work allocates, not the imports
        os.getloadavg()
        work()
        os.getloadavg()
        names.append((name, operations))
    print(json.dumps({"cases": names, "compiled": st.__compiled__}), flush=True)
    os._exit(0)  # nothing to be counted


if __name__ == "__main__":
    main()
