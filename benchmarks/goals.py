"""The goals, and how far the figures are from them, with what bounds each as measured.

Pure functions of the scripts' results. Invariant: a goal that was not measured says so; it is never
taken for met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs

__all__ = ["GOALS", "Goal", "lines"]

Results = dict[str, Any]

_FULL = 0.8  # of a core, from where on the processor is what bounds
ENOUGH = 5  # rounds that a goal is to be judged by


def row(results: Results, script: str, table: str, **values: Any) -> Results:
    """The row of a table that has these values; KeyError where it was not measured."""
    for entry in results[script]["tables"][table]["rows"]:
        if all(entry.get(key) == value for key, value in values.items()):
            return dict(entry)
    raise KeyError(f"{script}: {table}: {values}")


def peer(results: Results, name: str) -> Results:
    return row(results, "compare", "peers", name=name)


def ratio(name: str) -> Callable[[Results], float]:
    """Our CPU for an event as a share of theirs."""
    return lambda results: peer(results, "sessiontrace")["cpu_us"] / peer(results, name)["cpu_us"]


def length(results: Results, case: str, events: str) -> Results:
    return row(results, "lengths", "lengths", case=case, length=events)


def length_ratio(case: str, events: str, key: str = "ratio") -> Callable[[Results], float]:
    """CPU, or events a second, as a share of opentelemetry-sdk's with sessions of this length."""
    return lambda results: float(length(results, case, events)[key])


def length_bound(case: str, events: str) -> Callable[[Results], str]:
    def text(results: Results) -> str:
        own = length(results, case, events)
        peer = length(results, "opentelemetry-sdk", events)
        return (
            f"{own['cpu_us']:.1f} us against {peer['cpu_us']:.1f}: {own['capture_us']:.1f} on the "
            f"caller's thread, {own['keeper_us']:.1f} for the disk, {own['sender_us']:.1f} in the "
            "sender"
        )

    return text


def rate_text(results: Results) -> str:
    own = length(results, "HoneyHive", "all")
    peer = length(results, "opentelemetry-sdk", "all")
    return f"{own['events_per_second']:,.0f} against {peer['events_per_second']:,.0f}"


def memory_after_one(results: Results) -> float:
    """MiB more than opentelemetry-sdk's process after one event."""
    own, peer = (
        float(row(results, "lengths", "memory", adapter=name)["mib"])
        for name in ("sessiontrace", "opentelemetry-sdk")
    )
    return own - peer


def session_bound(results: Results) -> str:
    own = row(results, "capture", "capture", case="session")
    return f"a root span of opentelemetry-sdk's: {own['opentelemetry_us']:.1f} us"


def one_part(value: float) -> str:
    return f"1/{1 / value:.3g}"


def cpu_bound(results: Results, name: str = "sessiontrace") -> str:
    own = peer(results, name)
    behind = own["cpu_us"] - own["capture_us"]
    return (
        f"{own['cpu_us']:.1f} us: {own['capture_us']:.1f} on the caller's thread (decorator, a "
        f"session every 100 events), {behind:.1f} in all other threads and in flush"
    )


def rate_bound(results: Results) -> str:
    """Whether the core was full: if not, the figure says nothing of what the code can do."""
    own = row(results, "export", "at once", case="honeyhive")
    used = own["cpu_us"] * own["events_per_second"] / 1e6
    text = (
        f"the process used {used:.0%} of its core and the sink "
        f"{own['sink_us'] * own['events_per_second'] / 1e6:.0%} of one; {own['cpu_us']:.1f} us an "
        f"event would allow {1e6 / own['cpu_us']:,.0f} a second"
    )
    return text if used > _FULL else f"{text}; the rest is pauses and answers waited for, see below"


def capture_bound(results: Results) -> str:
    def us(case: str) -> float:
        return float(row(results, "capture", "capture", case=case)["us"])

    empty, unmasked, whole = us("empty"), us("unmasked, fresh"), us("0.8 kB, fresh")
    return (
        f"an empty span {empty:.1f} us, encoding the payload {unmasked - empty:.1f}, masking it "
        f"{whole - unmasked:.1f}; with repeated texts {us('0.8 kB, repeated'):.1f} in all"
    )


def capture_ratio(case: str) -> Callable[[Results], float]:
    """Our time on the caller's thread as a share of opentelemetry-sdk's."""
    return lambda results: float(row(results, "capture", "capture", case=case)["ratio"])


def beside(case: str) -> Callable[[Results], str]:
    def text(results: Results) -> str:
        own = row(results, "capture", "capture", case=case)
        return f"{own['us']:.1f} us against {own['opentelemetry_us']:.1f}, which masks nothing"

    return text


def stall_bound(rate: int) -> Callable[[Results], str]:
    def text(results: Results) -> str:
        own = row(results, "jitter", "jitter", rate=rate, variant="sessiontrace")
        bare = row(results, "jitter", "jitter", rate=rate, variant="nothing")
        return (
            f"{own['p99.9']:.1f} ms against {bare['p99.9']:.1f} with nothing traced; the median is "
            f"{own['p50 more']:+.2f} ms, p99 {own['p99 more']:+.1f}, the maximum "
            f"{own['max more']:+.1f}"
        )

    return text


def import_bound(results: Results) -> str:
    own = row(results, "startup", "import", module="sessiontrace")
    return f"{own['cpu_ms']:.0f} ms of processor, {own['ratio']:.2f} of `import asyncio` beside it"


def exit_bound(results: Results) -> str:
    own = row(results, "startup", "exit", backend="hangs")
    return f"{own['exit_s']:.2f} s, {own['missing']:.0f} events missing after the next run"


def memory_bound(results: Results) -> str:
    own = row(results, "outage", "outage")
    return (
        f"{own['events']:,} events; {own['spool_mib']:.0f} MiB of them on disk, "
        f"{own['missing']:.0f} missing after the next run"
    )


def instrument_bound(results: Results) -> str:
    calls = [row(results, "instrument", "goals", goal=f"{name}, call") for name in LIBRARIES]
    shares = [call.get("share") for call in calls]
    text = ", ".join(
        f"{call['us']:.0f} us" if share is None else f"{call['us']:.0f} us ({share:.2f} of it)"
        for call, share in zip(calls, shares, strict=True)
    )
    return f"openai and anthropic: {text}"


def worst(kind: str, key: str) -> Callable[[Results], float]:
    """The worst figure of both libraries, sync and async."""

    def figure(results: Results) -> float:
        names = [f"{name}, {how}{kind}" for name in LIBRARIES for how in ("", "async ")]
        figures = [row(results, "instrument", "goals", goal=name).get(key) for name in names]
        return max(float(figure) for figure in figures if figure is not None)

    return figure


LIBRARIES = ("openai", "anthropic")


@attrs.frozen
class Goal:
    """A figure, its limit, and what there is to say when it is known.

    ``rounds``: the script it comes from, and the option that says of how many rounds.
    """

    name: str
    limit: float
    figure: Callable[[Results], float]
    bound: Callable[[Results], str]
    shown: Callable[[float], str] = "{:.3g}".format
    at_least: bool = False
    rounds: tuple[str, str] = ("capture", "rounds")

    def line(self, results: Results) -> str:
        """A row of the table."""
        sign = ">=" if self.at_least else "<="
        start = f"| {self.name} | {sign} {self.shown(self.limit)} |"
        try:
            figure = self.figure(results)
            text = self.bound(results)
        except (KeyError, IndexError):
            return f"{start} not measured | | |"
        off = self.limit / figure if self.at_least else figure / self.limit
        verdict = "met" if off <= 1.0 else f"**missed by {(off - 1) * 100:.0f} %**"
        script, option = self.rounds
        if (count := results[script]["options"].get(option, 0)) < ENOUGH:
            verdict += f" (of {count} rounds only)"
        return f"{start} {self.shown(figure)} | {verdict} | {text} |"


def unless_missing(script: str, table: str, key: str, **values: Any) -> Callable[[Results], float]:
    """A figure that counts only where nothing was lost for it."""

    def figure(results: Results) -> float:
        own = row(results, script, table, **values)
        return float("inf") if own["missing"] else float(own[key])

    return figure


def us(value: float) -> str:
    return f"{value:.2f} us"


GOALS = (
    *(
        Goal(f"CPU of all threads for an event to {where}, of opentelemetry-sdk's", limit,
             length_ratio(case, events), length_bound(case, events), one_part,
             rounds=("lengths", "rounds"))
        for where, case, events, limit in (
            ("HoneyHive, one long session", "HoneyHive", "all", 1 / 6),
            ("HoneyHive, 100 events a session", "HoneyHive", "100", 1 / 6),
            ("HoneyHive, 10 events a session", "HoneyHive", "10", 1 / 3),
            ("OTLP as protobuf, 100 events a session", "OTLP, protobuf", "100", 1 / 3),
            ("OTLP as protobuf, 10 events a session", "OTLP, protobuf", "10", 1 / 3),
            ("the local store, 10 events a session", "local store", "10", 1 / 2),
            ("each of four vendors, 100 events a session", "four vendors at once", "100", 1 / 4),
            ("each of four vendors, 10 events a session", "four vendors at once", "10", 1 / 4),
        )
    ),
    Goal("CPU of all threads for an event to HoneyHive, of langfuse's", 1 / 25,
         ratio("langfuse"), cpu_bound, one_part, rounds=("compare", "rounds")),
    Goal("... of honeyhive's", 1 / 80,
         ratio("honeyhive"), cpu_bound, one_part, rounds=("compare", "rounds")),
    Goal("rate to acknowledged, of opentelemetry-sdk's", 5.0,
         length_ratio("HoneyHive", "all", "rate_ratio"), rate_text, "{:.1f} times".format,
         at_least=True, rounds=("lengths", "rounds")),
    Goal("events a second to acknowledged, one core", 80_000,
         lambda results: row(results, "export", "at once", case="honeyhive")["events_per_second"],
         rate_bound, "{:,.0f}".format, at_least=True,
         rounds=("export", "rounds")),
    Goal("capture on the caller, 0.8 kB, fresh texts", 5.0,
         lambda results: row(results, "capture", "capture", case="0.8 kB, fresh")["us"],
         capture_bound, us),
    Goal("capture on the caller, 0.8 kB, repeated texts", 5.0,
         lambda results: row(results, "capture", "capture", case="0.8 kB, repeated")["us"],
         capture_bound, us),
    *(
        Goal(f"{words}, of opentelemetry-sdk's", limit, capture_ratio(case), beside(case), one_part)
        for case, words, limit in (
            ("0.8 kB, repeated", "capture of 0.8 kB, repeated texts", 1 / 4),
            ("0.8 kB, fresh", "capture of 0.8 kB, fresh texts", 1 / 8),
            ("10 kB, fresh", "capture of 10 kB, fresh texts", 1 / 6),
            ("sampled out", "a span that is sampled out", 1 / 6),
            ("decorated async, repeated", "decorated async call, repeated texts", 1 / 4),
            ("decorated async, fresh", "decorated async call, fresh texts", 1 / 4),
        )
    ),
    Goal("open and close a session, on the caller", 10.0,
         lambda results: row(results, "capture", "capture", case="session")["us"],
         session_bound, us),
    Goal("what instrumentation adds to a call", 60.0,
         worst("call", "us"), instrument_bound, us, rounds=("instrument", "rounds")),
    Goal("... of OpenInference's", 1 / 4,
         worst("call", "share"), instrument_bound, one_part, rounds=("instrument", "rounds")),
    Goal("... to a streamed chunk", 2.0,
         worst("stream, a chunk", "us"), instrument_bound, us, rounds=("instrument", "rounds")),
    Goal("disabled decorator", 0.3,
         lambda results: row(results, "capture", "capture", case="disabled")["us"],
         lambda results: "over the bare call", us),
    *(
        Goal(f"loop stall p99.9 at {rate:,} events/s, less that without us", limit,
             lambda results, rate=rate: row(
                 results, "jitter", "jitter", rate=rate, variant="sessiontrace")["p99.9 more"],
             stall_bound(rate), "{:.2f} ms".format, rounds=("jitter", "rounds"))
        for rate, limit in ((5_000, 0.5), (20_000, 2.0))
    ),
    Goal("memory after one event, less opentelemetry-sdk's", 5.0, memory_after_one,
         lambda results: "aiohttp and asyncio are loaded with the first send",
         "{:.1f} MiB".format, rounds=("lengths", "rounds")),
    Goal("import", 50.0,
         lambda results: row(results, "startup", "import", module="sessiontrace")["ms"],
         import_bound, "{:.0f} ms".format, rounds=("startup", "rounds")),
    Goal("exit, backend hanging, 1000 pending", 2.2,
         unless_missing("startup", "exit", "exit_s", backend="hangs"),
         exit_bound, "{:.2f} s".format, rounds=("startup", "exits")),
    Goal("memory for 100 000 events while the backend is down", 64.0,
         unless_missing("outage", "outage", "grown_mib"),
         memory_bound, "{:.0f} MiB".format, rounds=("outage", "rounds")),
)  # fmt: skip


def lines(results: Results) -> Iterator[str]:
    """The table of goals."""
    yield "| figure | goal | measured | | what it is made of, what bounds it |"
    yield "|---|---:|---:|---|---|"
    yield from (goal.line(results) for goal in GOALS)
