"""``benchmarks/RESULTS.md`` and ``docs/peers.svg``, made from what is in ``benchmarks/results``.

    python benchmarks/report.py

Pure functions from what the scripts wrote to text. Invariant: no figure in the page was typed by
hand; what people have to add stands in ``benchmarks/notes.md``, which goes in at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import compare
import goals

__all__ = ["PAGE", "PLOTS", "RESULTS", "read", "written"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PLOTS = HERE.parent / "docs"
PAGE = HERE / "RESULTS.md"
NOTES = HERE / "notes.md"
ORDER = ("capture", "redaction", "export", "lengths", "sessions", "scale", "outage", "jitter",
         "startup", "server", "store", "dashboard", "instrument", "streams")  # fmt: skip

Results = dict[str, Any]

_QUIET = 1.5  # processes for each core: ours and the sink's make one


def read(folder: Path) -> dict[str, Results]:
    """What each script wrote, by its name."""
    return {one.stem: json.loads(one.read_text()) for one in sorted(folder.glob("*.json"))}


def written(results: dict[str, Results]) -> str:
    """The whole page."""
    lines = [
        "# What it costs, measured",
        "",
        "Made by `python benchmarks/report.py` from `benchmarks/results`; the figures by "
        "`make bench BENCH=full` and `make bench-peers`.",
        "",
    ]
    if results:
        lines += [f"Machine: {machine(results)}.", "", *busy(results)]
    lines += ["## Goals", "", *goals.lines(results), ""]
    if "compare" in results:
        lines += list(peers(results["compare"]))
    for name in ORDER:
        if name in results:
            lines += list(section(name, results[name]))
    if NOTES.exists():
        lines += [NOTES.read_text().rstrip(), ""]
    return "\n".join(lines)


def machine(results: dict[str, Results]) -> str:
    """Where it was measured, by the newest of the results."""
    newest = max(results.values(), key=lambda one: one["when"])["machine"]
    return (
        f"{newest['processor']}, {newest['cores']} cores, {newest['system']}, "
        f"Python {newest['python']}; sessiontrace {newest['sessiontrace']}, "
        f"aiohttp {newest['aiohttp']}, orjson {newest['orjson']}"
    )


def busy(results: dict[str, Results]) -> Iterator[str]:
    """A warning, where more wanted to run than there are cores."""
    loads = [
        (one["machine"].get("load") or 0) / one["machine"]["cores"] for one in results.values()
    ]
    if max(loads) > _QUIET:
        yield (
            f"**Measured on a busy machine: up to {max(loads):.1f} processes for each core. Do not "
            "judge by the figures by the clock (events/s, stalls, imports, exits, answers).**"
        )
        yield ""


def moment(results: Results) -> str:
    """When, for how long, and how busy the machine was."""
    load = results["machine"].get("load")
    busy = "" if load is None else f"; load {load} at its end"
    options = results["options"]
    rounds = f", {options['rounds']} rounds" if "rounds" in options else ""
    small = "; SMALL RUN, figures mean little" if results["options"]["quick"] else ""
    return f"*{results['when']}, {results['seconds']} s{rounds}{busy}{small}*"


def markdown(table: Results) -> Iterator[str]:
    """A table as the script showed it."""
    columns = table["columns"]
    yield "| " + " | ".join(heading for _, heading, _ in columns) + " |"
    yield "|" + "|".join("---" if at == 0 else "---:" for at in range(len(columns))) + "|"
    for row in table["rows"]:
        yield "| " + " | ".join(cell(row, key, form) for key, _, form in columns) + " |"
    if table["note"]:
        yield ""
        yield from (f"{line}  " for line in table["note"].splitlines())


def cell(row: Results, key: str, form: str) -> str:
    value = row.get(key)
    if value is None:
        return "-"
    return value if isinstance(value, str) else format(value, form)


def section(name: str, results: Results) -> Iterator[str]:
    """One script's tables and plot."""
    yield from (f"## {name}", "", results["about"], "", moment(results), "")
    for table in results["tables"].values():
        yield from (*markdown(table), "")
    if (PLOTS / f"benchmark-{name}.svg").exists():
        yield from (f"![{name}](../docs/benchmark-{name}.svg)", "")


def peers(results: Results) -> Iterator[str]:
    """The comparison, with how each was set and how far its rounds lay apart."""
    table = results["tables"]["peers"]
    rows: Sequence[Results] = table["rows"]
    yield from ("## peers", "", results["about"], "", moment(results), "", *markdown(table), "")
    rounds = results["options"]["rounds"]
    yield from ("Each peer as a multiple of sessiontrace (HoneyHive's protocol), medians of "
                f"{rounds} rounds; in brackets sessiontrace's least and most:",
                "")  # fmt: skip
    yield from (*multiples(rows), "")
    yield from ("![peers](../docs/peers.svg)", "", "Settings:", "")
    yield from (f"- {row['title']} {row['version']}: {row['settings']}" for row in rows)
    if not results["alone"]:
        yield "- the run was not in a network namespace of its own"
    yield ""


MULTIPLES = {
    "cpu_us": "CPU",
    "capture_us": "capture",
    "disabled_us": "off",
    "import_ms": "import",
    "bytes": "bytes sent",
}


def multiples(rows: Sequence[Results]) -> Iterator[str]:
    own = rows[0]
    yield "| SDK | " + " | ".join(MULTIPLES.values()) + " | events/s |"
    yield "|---|" + "---:|" * (len(MULTIPLES) + 1)
    spread = []
    for key in MULTIPLES:
        least, most = own.get(f"{key}_from_to", (0.0, 0.0))
        spread.append(f"{own[key]:.3g} ({least:.3g}-{most:.3g})" if key in own else "-")
    yield f"| ours | {' | '.join(spread)} | {own.get('events_per_second', 0):,.0f} |"
    for row in rows[1:]:
        cells = [
            f"{row[key] / own[key]:.3g}x" if key in row and own.get(key) else "-"
            for key in MULTIPLES
        ]
        rate = row.get("events_per_second")
        share = f"{rate / own['events_per_second']:.3g}x" if rate else "-"
        yield f"| {row['title']} | {' | '.join(cells)} | {share} |"


def main() -> None:
    results = read(RESULTS)
    PAGE.write_text(written(results))
    if "compare" in results:
        one = results["compare"]
        words = (
            f"medians of {one['options']['rounds']} rounds, {one['when'][:10]}; {machine(results)}"
        )
        rows = one["tables"]["peers"]["rows"]
        (PLOTS / "peers.svg").write_text(compare.plot(rows, words).svg())
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
