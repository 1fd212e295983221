"""The goals, and how far the figures are from them, with what bounds each as measured.

Pure functions of the scripts' results. Invariant: a goal that was not measured says so; it is never
taken for met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs

__all__ = ["GOALS", "Goal", "lines"]

Found = dict[str, Any]

_FULL = 0.8  # of a core, from where on the processor is what bounds
ENOUGH = 5  # rounds that a goal is to be judged by


def row(found: Found, script: str, table: str, **wanted: Any) -> Found:
    """The row of a table that has these values; KeyError where it was not measured."""
    for one in found[script]["tables"][table]["rows"]:
        if all(one.get(key) == value for key, value in wanted.items()):
            return dict(one)
    raise KeyError(f"{script}: {table}: {wanted}")


def peer(found: Found, name: str) -> Found:
    return row(found, "compare", "peers", name=name)


def ratio(name: str) -> Callable[[Found], float]:
    """Our CPU for an event as a share of theirs."""
    return lambda found: peer(found, "sessiontrace")["cpu_us"] / peer(found, name)["cpu_us"]


def otlp_ratio(found: Found) -> float:
    """Our CPU for an event over OTLP as a share of opentelemetry-sdk's."""
    return float(peer(found, "sessiontrace_otlp")["otel_ratio"])


def one_part(value: float) -> str:
    return f"1/{1 / value:.3g}"


def cpu_bound(found: Found, name: str = "sessiontrace") -> str:
    own = peer(found, name)
    behind = own["cpu_us"] - own["capture_us"]
    return (
        f"{own['cpu_us']:.1f} us: {own['capture_us']:.1f} on the caller's thread (decorator, a "
        f"session every 100 events), {behind:.1f} in all other threads and in flush"
    )


def rate_bound(found: Found) -> str:
    """Whether the core was full: if not, the figure says nothing of what the code can do."""
    own = row(found, "export", "at once", case="honeyhive")
    used = own["cpu_us"] * own["events_per_second"] / 1e6
    said = (
        f"the process used {used:.0%} of its core and the sink "
        f"{own['sink_us'] * own['events_per_second'] / 1e6:.0%} of one; {own['cpu_us']:.1f} us an "
        f"event would allow {1e6 / own['cpu_us']:,.0f} a second"
    )
    return said if used > _FULL else f"{said}; the rest is pauses and answers waited for, see below"


def capture_bound(found: Found) -> str:
    def us(case: str) -> float:
        return float(row(found, "capture", "capture", case=case)["us"])

    empty, bold, whole = us("empty"), us("unmasked, fresh"), us("0.8 kB, fresh")
    return (
        f"an empty span {empty:.1f} us, encoding the payload {bold - empty:.1f}, masking it "
        f"{whole - bold:.1f}; with repeated texts {us('0.8 kB, repeated'):.1f} in all"
    )


def capture_ratio(case: str) -> Callable[[Found], float]:
    """Our time on the caller's thread as a share of opentelemetry-sdk's."""
    return lambda found: float(row(found, "capture", "capture", case=case)["ratio"])


def beside(case: str) -> Callable[[Found], str]:
    def said(found: Found) -> str:
        own = row(found, "capture", "capture", case=case)
        return f"{own['us']:.1f} us against {own['opentelemetry_us']:.1f}, which masks nothing"

    return said


def stall_bound(found: Found) -> str:
    own = row(found, "jitter", "jitter", rate=5000, variant="sessiontrace")
    bare = row(found, "jitter", "jitter", rate=5000, variant="nothing")
    return (
        f"{own['p99.9']:.1f} ms against {bare['p99.9']:.1f} with nothing traced; the median is "
        f"{own['p50 more']:+.2f} ms, p99 {own['p99 more']:+.1f}, the maximum "
        f"{own['max more']:+.1f}; what makes them see below"
    )


def import_bound(found: Found) -> str:
    own = row(found, "startup", "import", module="sessiontrace")
    return f"{own['cpu_ms']:.0f} ms of processor, {own['ratio']:.2f} of `import asyncio` beside it"


def exit_bound(found: Found) -> str:
    own = row(found, "startup", "exit", backend="hangs")
    return f"{own['exit_s']:.2f} s, {own['missing']:.0f} events missing after the next run"


def memory_bound(found: Found) -> str:
    own = row(found, "outage", "outage")
    return (
        f"{own['events']:,} events; {own['spool_mib']:.0f} MiB of them on disk, "
        f"{own['missing']:.0f} missing after the next run"
    )


def instrument_bound(found: Found) -> str:
    calls = [row(found, "instrument", "goals", goal=f"{name}, call") for name in LIBRARIES]
    said = ", ".join(f"{call['us']:.0f} us ({call['share']:.2f} of it)" for call in calls)
    return f"openai and anthropic: {said}"


def worst(kind: str, key: str) -> Callable[[Found], float]:
    """The worst figure of both libraries, sync and async."""

    def figure(found: Found) -> float:
        names = [f"{name}, {how}{kind}" for name in LIBRARIES for how in ("", "async ")]
        return max(float(row(found, "instrument", "goals", goal=name)[key]) for name in names)

    return figure


LIBRARIES = ("openai", "anthropic")


@attrs.frozen
class Goal:
    """A figure, its limit, and what there is to say when it is known.

    ``rounds``: the script it comes from, and the option that says of how many rounds.
    """

    name: str
    limit: float
    figure: Callable[[Found], float]
    bound: Callable[[Found], str]
    shown: Callable[[float], str] = "{:.3g}".format
    at_least: bool = False
    rounds: tuple[str, str] = ("capture", "rounds")

    def line(self, found: Found) -> str:
        """A row of the table."""
        sign = ">=" if self.at_least else "<="
        start = f"| {self.name} | {sign} {self.shown(self.limit)} |"
        try:
            figure = self.figure(found)
            said = self.bound(found)
        except (KeyError, IndexError):
            return f"{start} not measured | | |"
        off = self.limit / figure if self.at_least else figure / self.limit
        verdict = "met" if off <= 1.0 else f"**missed by {(off - 1) * 100:.0f} %**"
        script, option = self.rounds
        if (count := found[script]["options"].get(option, 0)) < ENOUGH:
            verdict += f" (of {count} rounds only)"
        return f"{start} {self.shown(figure)} | {verdict} | {said} |"


def unless_missing(script: str, table: str, key: str, **wanted: Any) -> Callable[[Found], float]:
    """A figure that counts only where nothing was lost for it."""

    def figure(found: Found) -> float:
        own = row(found, script, table, **wanted)
        return float("inf") if own["missing"] else float(own[key])

    return figure


def us(value: float) -> str:
    return f"{value:.2f} us"


GOALS = (
    Goal("CPU of all threads for an event, of opentelemetry-sdk's", 1 / 6,
         ratio("opentelemetry"), cpu_bound, one_part, rounds=("compare", "rounds")),
    Goal("... of langfuse's", 1 / 25,
         ratio("langfuse"), cpu_bound, one_part, rounds=("compare", "rounds")),
    Goal("... of honeyhive's", 1 / 80,
         ratio("honeyhive"), cpu_bound, one_part, rounds=("compare", "rounds")),
    Goal("... over OTLP (protobuf), of opentelemetry-sdk's", 1 / 3,
         otlp_ratio, lambda found: cpu_bound(found, "sessiontrace_otlp"), one_part,
         rounds=("compare", "rounds")),
    Goal("events a second to acknowledged, one core", 80_000,
         lambda found: row(found, "export", "at once", case="honeyhive")["events_per_second"],
         rate_bound, "{:,.0f}".format, at_least=True,
         rounds=("export", "rounds")),
    Goal("capture on the caller, 0.8 kB, fresh texts", 5.0,
         lambda found: row(found, "capture", "capture", case="0.8 kB, fresh")["us"],
         capture_bound, us),
    Goal("capture on the caller, 0.8 kB, repeated texts", 5.0,
         lambda found: row(found, "capture", "capture", case="0.8 kB, repeated")["us"],
         capture_bound, us),
    *(
        Goal(f"{words}, of opentelemetry-sdk's", 1 / 4, capture_ratio(case), beside(case), one_part)
        for case, words in (
            ("0.8 kB, repeated", "capture of 0.8 kB, repeated texts"),
            ("0.8 kB, fresh", "capture of 0.8 kB, fresh texts"),
            ("decorated async, repeated", "decorated async call, repeated texts"),
            ("decorated async, fresh", "decorated async call, fresh texts"),
        )
    ),
    Goal("what instrumentation adds to a call", 60.0,
         worst("call", "us"), instrument_bound, us, rounds=("instrument", "rounds")),
    Goal("... of OpenInference's", 1 / 4,
         worst("call", "share"), instrument_bound, one_part, rounds=("instrument", "rounds")),
    Goal("... to a streamed chunk", 2.0,
         worst("stream, a chunk", "us"), instrument_bound, us, rounds=("instrument", "rounds")),
    Goal("disabled decorator", 0.3,
         lambda found: row(found, "capture", "capture", case="disabled")["us"],
         lambda found: "over the bare call", us),
    Goal("loop stall p99.9 at 5 000 events/s, less that without us", 2.0,
         lambda found: row(found, "jitter", "jitter", rate=5000, variant="sessiontrace")[
             "p99.9 more"], stall_bound, "{:.2f} ms".format, rounds=("jitter", "rounds")),
    Goal("import", 50.0,
         lambda found: row(found, "startup", "import", module="sessiontrace")["ms"],
         import_bound, "{:.0f} ms".format, rounds=("startup", "rounds")),
    Goal("exit, backend hanging, 1000 pending", 2.2,
         unless_missing("startup", "exit", "exit_s", backend="hangs"),
         exit_bound, "{:.2f} s".format, rounds=("startup", "exits")),
    Goal("memory for 100 000 events while the backend is down", 64.0,
         unless_missing("outage", "outage", "grown_mib"),
         memory_bound, "{:.0f} MiB".format, rounds=("outage", "rounds")),
)  # fmt: skip


def lines(found: Found) -> Iterator[str]:
    """The table of goals."""
    yield "| figure | goal | measured | | what it is made of, what bounds it |"
    yield "|---|---:|---:|---|---|"
    yield from (goal.line(found) for goal in GOALS)
