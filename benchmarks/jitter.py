"""What an application's event loop feels of the tracing: its stalls, with and without.

A heartbeat in the loop says how much later than asked it comes, while the same loop makes so many
events a second, which a thread exports to a sink in another process. Each variant runs in a
process of its own: nothing traced, sessiontrace, and opentelemetry-sdk (where it is installed) with
its BatchSpanProcessor and an exporter that posts JSON with http.client.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from sink import Sink

VARIANTS = ("nothing", "sessiontrace", "opentelemetry-sdk")
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}

INPUTS = {"messages": [{"role": "user", "content": "What is the weather in Berlin? " * 8}]}
OUTPUTS = {"text": "It rains, as it does. " * 16, "usage": {"input": 120, "output": 80}}


def nothing(url: str, scratch: str) -> Callable[[], None]:
    """The work of an event without an event."""

    def step() -> None:
        json.dumps(INPUTS)

    return step


def sessiontrace(url: str, scratch: str) -> Callable[[], None]:
    import sessiontrace as st

    tracer = st.Tracer(st.HoneyHive(api_key="benchmark", base_url=url), spool=scratch)
    session = tracer.session("jitter")
    session.__enter__()

    def step() -> None:
        json.dumps(INPUTS)
        with tracer.span("step", type="model", inputs=INPUTS) as span:
            span.set(outputs=OUTPUTS)

    return step


def opentelemetry(url: str, scratch: str) -> Callable[[], None]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    class Posting(SpanExporter):
        def __init__(self) -> None:
            self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)

        def export(self, spans: Any) -> SpanExportResult:
            body = json.dumps({"spans": [json.loads(span.to_json()) for span in spans]})
            headers = {"Content-Type": "application/json"}
            self._connection.request("POST", "/v1/traces", body, headers)
            self._connection.getresponse().read()
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Posting(), max_queue_size=20_000))
    tracer = provider.get_tracer("jitter")

    def step() -> None:
        json.dumps(INPUTS)
        with tracer.start_as_current_span("step") as span:
            span.set_attribute("inputs", json.dumps(INPUTS))
            span.set_attribute("outputs", json.dumps(OUTPUTS))

    return step


MAKE = {"nothing": nothing, "sessiontrace": sessiontrace, "opentelemetry-sdk": opentelemetry}


async def beat(step: Callable[[], None], rate: float, seconds: float) -> list[float]:
    """How late each heartbeat came, in milliseconds."""
    late: list[float] = []
    begun = time.perf_counter()
    made = 0
    while (now := time.perf_counter()) - begun < seconds:
        due = int((now - begun) * rate)
        for _ in range(min(due - made, 20)):
            step()
            made += 1
        asked = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        if time.perf_counter() - begun > 1.0:  # imports and first connections are not the subject
            late.append((time.perf_counter() - asked) * 1000)
    return late


def run_one(variant: str, url: str, rate: float, seconds: float) -> None:
    """In a process of its own: print the percentiles as JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        step = MAKE[variant](url, scratch)
        late = sorted(asyncio.run(beat(step, rate, seconds)))
        at = {name: late[min(len(late) - 1, int(share * len(late)))]
              for name, share in PERCENTILES.items()}  # fmt: skip
        print(json.dumps(at), flush=True)


def measure(variant: str, url: str, rate: float, seconds: float) -> dict[str, float]:
    """One variant at one rate."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", variant, "--url", url, "--rates", str(rate),
         "--seconds", str(seconds)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", type=float, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--seconds", type=float, default=6.0, help="a variant (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are shown")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one, options.url, options.rates[0], options.seconds)
        return
    have = [v for v in VARIANTS if v != "opentelemetry-sdk" or
            importlib.util.find_spec("opentelemetry.sdk")]  # fmt: skip
    found: dict[str, dict[str, dict[str, float]]] = {}
    with Sink() as sink:
        for rate in options.rates:
            rounds: dict[str, list[dict[str, float]]] = {variant: [] for variant in have}
            for number in range(options.rounds):  # interleaved: the machine has its moods
                for variant in have:
                    text = f"\r{rate:.0f}/s {number + 1}/{options.rounds} {variant:<20}"
                    print(text, end="", file=sys.stderr, flush=True)
                    measured = measure(variant, sink.url, rate, options.seconds)
                    rounds[variant].append(measured)
            found[f"{rate:.0f}/s"] = {
                variant: {
                    name: statistics.median(one[name] for one in taken) for name in PERCENTILES
                }
                for variant, taken in rounds.items()
            }
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'loop stall, ms':<28}" + "".join(f"{name:>9}" for name in PERCENTILES))
    for rate_name, variants in found.items():
        for variant, at in variants.items():
            values = "".join(f"{at[name]:>9.2f}" for name in PERCENTILES)
            print(f"{rate_name:<8}{variant:<20}{values}")


if __name__ == "__main__":
    main()
