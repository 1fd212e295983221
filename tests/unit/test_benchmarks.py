"""The benchmarks' own parts: what they draw, count, fit and say must be right, or they lie."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Import a module of the benchmarks; nothing of them stays imported."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_a_plot_is_well_formed_and_shows_every_figure(part: Callable[[str], Any]) -> None:
    """A name with markup in it and a figure of nothing: both must come out as they are."""
    plot = part("plot")
    bars = plot.Bars("a < b", [plot.Bar("<&>", 1234.5), plot.Bar("none", 0.0, own=True)], "us")
    lines = plot.Lines(
        "grows", {"it": [(10.0, 1.0), (1000.0, 250.0)], "flat": [(10.0, 0.0)]}, "n", "us"
    )
    for drawn in (bars, plot.Stack([bars, bars], "words"), lines):
        texts = [one.text for one in ET.fromstring(drawn.svg()).iter() if one.tag.endswith("text")]
        assert all(texts)
    texts = [one.text for one in ET.fromstring(bars.svg()).iter() if one.tag.endswith("text")]
    assert texts == ["a < b", "<&>", "1,234 us", "none", "0 us"]


@pytest.mark.parametrize(("power", "expected"), [(1.0, 1.0), (2.0, 2.0), (0.0, 0.0)])
def test_the_fit_finds_the_power(part: Callable[[str], Any], power: float, expected: float) -> None:
    """Costs that grow as a known power of n."""
    points = [(n, 7.0 * n**power) for n in (10.0, 1000.0, 100000.0)]
    assert part("scale").exponent(points) == pytest.approx(expected, abs=1e-9)


def results(**rows: Any) -> dict[str, Any]:
    """What scripts write, with these rows: ``script__table=[...]``."""
    found: dict[str, Any] = {}
    for name, given in rows.items():
        script, table = name.split("__")
        entry = found.setdefault(script, {
            "about": "It measures.", "when": "2026-01-01 00:00 UTC", "seconds": 3, "alone": True,
            "machine": {"processor": "P", "cores": 2, "system": "Linux", "python": "3",
                        "sessiontrace": "0", "aiohttp": "3", "orjson": "3"},
            "options": {"quick": False, "rounds": 5, "exits": 2}, "tables": {},
        })  # fmt: skip
        keys = list(given[0])
        columns = [[key, key, "s" if isinstance(given[0][key], str) else ".1f"] for key in keys]
        entry["tables"][table] = {"columns": columns, "rows": given, "note": ""}
    return found


def test_a_goal_is_met_missed_or_not_measured(part: Callable[[str], Any]) -> None:
    """0.4 us misses 0.3 by a third; an exit that lost events is never met, however quick."""
    goals = part("goals")
    found = results(
        capture__capture=[{"case": "disabled", "us": 0.4}],
        startup__exit=[{"backend": "hangs", "exit_s": 0.1, "missing": 3}],
        startup__import=[{"module": "sessiontrace", "ms": 40.0, "cpu_ms": 38.0, "ratio": 0.9}],
    )
    by_name = {line.split("|")[1].strip(): line for line in goals.lines(found)}
    assert "0.40 us | **missed by 33 %** |" in by_name["disabled decorator"]
    assert "40 ms | met |" in by_name["import"]
    assert (
        "**missed by inf %** (of 2 rounds only)" in by_name["exit, backend hanging, 1000 pending"]
    )
    assert "not measured" in by_name["events a second to acknowledged, one core"]


@pytest.mark.parametrize(("rate", "said"), [(24_000.0, "a second |"), (5_000.0, "and answers")])
def test_the_processor_is_named_as_the_bound_only_when_it_was_full(
    part: Callable[[str], Any], rate: float, said: str
) -> None:
    """40 us an event: 24 000 a second fill the core, 5 000 a fifth of it."""
    own = {"case": "honeyhive", "events_per_second": rate, "cpu_us": 40.0, "sink_us": 10.0}
    lines = part("goals").lines(results(**{"export__at once": [own]}))
    assert said in next(line for line in lines if "events a second" in line)


def test_a_busy_machine_is_told_on_the_page(part: Callable[[str], Any]) -> None:
    """Nine processes for each core: whoever reads the figures must know."""
    found = results(streams__chunks=[{"stream": "text", "us": 1.25}])
    assert "Measured on a busy machine" not in part("report").written(found)
    found["streams"]["machine"]["load"] = 18.0
    assert "busy machine: up to 9.0 processes for each core" in part("report").written(found)


def test_the_page_has_every_table_and_the_multiples(part: Callable[[str], Any]) -> None:
    """Figures go from the scripts' files into the page as they are; a peer's beside ours."""
    peer = {"version": "1", "settings": "its defaults", "capture_us": 20.0}
    found = results(
        streams__chunks=[{"stream": "text", "us": 1.25}],
        compare__peers=[
            {
                "name": "sessiontrace",
                "title": "ours",
                "cpu_us": 10.0,
                "events_per_second": 1000.0,
                **peer,
            },
            {"name": "o", "title": "other", "cpu_us": 25.0, "events_per_second": 100.0, **peer},
        ],
    )
    page = part("report").written(found)
    assert "| text | 1.2 |" in page
    assert "| other | 2.5x | 1x | - | - | - | 0.1x |" in page
    assert "- other 1: its defaults" in page


def test_a_cost_is_judged_beside_the_peer_with_sessions_of_its_length(
    part: Callable[[str], Any],
) -> None:
    """30 of 60 us in short sessions misses a third by a half, whatever long sessions cost."""
    threads = {"capture_us": 9.0, "keeper_us": 1.0, "sender_us": 20.0}
    own = {"case": "HoneyHive", "length": "10", "ratio": 0.5, "cpu_us": 30.0, **threads}
    long = {**own, "length": "all", "ratio": 0.1, "cpu_us": 6.0}
    peer = {"case": "opentelemetry-sdk", "length": "10", "ratio": None, "cpu_us": 60.0, **threads}
    lines = list(part("goals").lines(results(lengths__lengths=[own, long, peer])))
    short = next(line for line in lines if "HoneyHive, 10 events a session" in line)
    assert "1/2 | **missed by 50 %** | 30.0 us against 60.0: 9.0 on the caller's thread" in short


def otlp(count: int) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(count):
        scope.spans.add(name="step", span_id=bytes([number] * 8))
    body: bytes = request.SerializeToString()
    return body


ONE = b'{"events": [{"session_id": "a", "event_id": "b"}]}'
RUNS = b"".join(
    b'--b\r\nContent-Disposition: form-data; name="post.%036d%s"\r\n\r\n{}\r\n' % (number, part)
    for number in (1, 2)
    for part in (b"", b".inputs")
)


@pytest.mark.parametrize(
    ("path", "headers", "body", "events"),
    [
        ("/v1/traces", {"content-type": "application/x-protobuf"}, otlp(3), 3),
        ("/v1/traces", {"content-type": "application/x-protobuf", "content-encoding": "gzip"},
         gzip.compress(otlp(4), mtime=0), 4),
        ("/v1/traces", {"content-type": "application/json"},
         json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{}, {}]}]}]}).encode(), 2),
        ("/v1/events/batch", {}, ONE, 1),
        ("/batch/", {}, gzip.compress(b'{"batch": [{}, {}, {}]}', mtime=0), 3),
        ("/v4/logs", {}, b"[{}, {}]", 2),
        ("/runs/multipart", {"content-type": "multipart/form-data; boundary=b"}, RUNS, 2),
        ("/v0.4/traces", {"content-type": "application/msgpack"}, b"\xa8resource\xa1x" * 5, 5),
        ("/session/start", {}, b"{}", 0),
    ],
)  # fmt: skip
def test_an_event_is_counted_once_in_every_protocol(
    part: Callable[[str], Any], path: str, headers: dict[str, str], body: bytes, events: int
) -> None:
    """What each SDK sends for so many calls."""
    protocols = part("protocols")
    taken = protocols.Taken("POST", path, headers, body)
    assert protocols.read(taken).events == events
    assert isinstance(protocols.answer(taken)[0], bytes)


def test_the_sink_counts_and_forgets(part: Callable[[str], Any]) -> None:
    """Two batches, then from nothing again; a request that comes while it answers 500 is not
    counted."""
    with part("sink").Sink() as sink:

        def post() -> None:
            urllib.request.urlopen(f"{sink.url}/v1/events/batch", ONE, timeout=30).close()

        post()
        post()
        assert (sink.counts()["events"], sink.counts()["before_their_session"]) == (2, 2)
        sink.forget()
        post()
        sink.mode("500")
        with pytest.raises(urllib.error.HTTPError) as refused:
            post()
        refused.value.close()
        assert sink.counts()["requests"] == {"POST /v1/events/batch": 1}


def test_every_adapter_is_complete_and_imports_its_package_only_when_started(
    part: Callable[[str], Any],
) -> None:
    """They are imported here, where most of the packages are not installed."""
    peers, environments = part("peers"), part("environments")
    for name in (*peers.OURS, *peers.NAMES):
        adapter = environments.adapter(name)
        assert all(
            callable(getattr(adapter, one)) for one in ("start", "decorate", "session", "flush")
        )
        assert adapter.SETTINGS
        compile(adapter.IMPORT, name, "exec")


def test_a_script_shows_its_table_and_writes_what_it_shows(tmp_path: Path) -> None:
    """A whole run, small: the backend is down, comes back, and nothing is missing."""
    wrote, drawn = tmp_path / "outage.json", tmp_path / "outage.svg"
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "outage.py"), "--quick", "--count", "300",
         "--json", str(wrote), "--svg", str(drawn)],
        capture_output=True, text=True, timeout=50, check=True,
    )  # fmt: skip
    row = json.loads(wrote.read_text())["tables"]["outage"]["rows"][0]
    assert (row["events"], row["lost"], row["missing"]) == (300, 0, 0)
    assert f"{row['spool_mib']:.1f}" in done.stdout
    ET.fromstring(drawn.read_text())


def test_a_case_that_takes_over_three_percent_more_is_marked(part: Callable[[str], Any]) -> None:
    """Less, a little more, too much, and a case that the baseline does not have."""
    before = {"less": 1000.0, "little": 1000.0, "much": 1000.0}
    now = {"less": 900.0, "little": 1029.0, "much": 1031.0, "added": 5.0}
    _, *lines = part("guard").compared(now, before)
    assert [line.split()[-1] for line in lines] == ["-10.0%", "+2.9%", "MUCH", "new"]


def test_the_total_of_a_part_of_callgrinds_output_is_read(
    part: Callable[[str], Any], tmp_path: Path
) -> None:
    """Callgrind writes a file for each count; without a total the guard stops and says which."""
    output = tmp_path / "count.2"
    output.write_text("version: 1\nsummary: 7\n\ntotals: 7\n")
    assert part("guard").total(output) == 7
    output.write_text("version: 1\n")
    with pytest.raises(SystemExit, match=r"no total into count\.2"):
        part("guard").total(output)


def test_every_program_that_a_benchmark_starts_exists() -> None:
    """A renamed program is missed only when the benchmark runs, which takes half an hour."""
    named = {
        (file.name, name)
        for file in BENCHMARKS.glob("*.py")
        for name in re.findall(r'"([a-z_]+\.py)"', file.read_text())
    }
    folders = (BENCHMARKS, BENCHMARKS.parent / "tests", BENCHMARKS.parent / "examples")
    programs = {path.name for folder in folders for path in folder.rglob("*.py")}
    assert named
    assert {entry for entry in named if entry[1] not in programs} == set()
