"""The frame around each benchmark: its options, its progress, its table, JSON and plot.

    bench = Bench(__doc__)
    bench.option("--rounds", full=5, quick=1, help="rounds")
    options = bench.start()
    with bench.progress(options.rounds) as step: ...
    bench.finish(Table("capture", (Column("us", "us a span", ".2f"), ...), rows), plot=Bars(...))

Owned by the main thread of the script. Invariant: what --json writes is what the table shows, not
rounded, with the machine, the date and the options.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import attrs
import machine_info

__all__ = ["Bench", "Column", "Table"]

Row = dict[str, Any]
Step = Callable[[str], None]


class Drawn(Protocol):
    """A plot."""

    def svg(self) -> str: ...


@attrs.frozen
class Column:
    """A row's entry: its key, its heading, how it is shown."""

    key: str
    heading: str
    form: str = ".1f"

    def text(self, row: Row) -> str:
        value = row.get(self.key)
        if value is None:
            return "-"
        return str(value) if isinstance(value, str) else format(value, self.form)


@attrs.frozen
class Table:
    """Rows under a name; a ``note`` is printed below."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""

    def value(self) -> Row:
        """Everything, for JSON."""
        columns = [attrs.astuple(column) for column in self.columns]
        return {"columns": columns, "rows": list(self.rows), "note": self.note}

    def lines(self) -> Iterator[str]:
        """The table as text: the first column to the left, figures to the right."""
        cells = [[column.heading for column in self.columns]]
        cells += [[column.text(row) for column in self.columns] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            first, *rest = zip(line, widths, strict=True)
            figures = [text.rjust(width) for text, width in rest]
            yield "  ".join([first[0].ljust(first[1]), *figures])
        if self.note:
            yield self.note


class Bench:
    """One benchmark's run; ``about`` is the docstring of its script."""

    def __init__(self, about: str | None) -> None:
        self._about = about or ""
        self._parser = argparse.ArgumentParser(
            description=about, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add = self._parser.add_argument
        add("--quick", action="store_true", help="small, to see that it runs")
        add("--json", metavar="FILE", help="write the figures too (-: print them)")
        add("--svg", metavar="FILE", help="write a plot too")
        self._sizes: dict[str, tuple[Any, Any]] = {}
        self.options = argparse.Namespace()
        self._begun = time.monotonic()

    def option(self, flag: str, *, full: Any, quick: Any, help: str, **more: Any) -> None:
        """An option whose default depends on --quick."""
        name = flag.lstrip("-").replace("-", "_")
        self._sizes[name] = (full, quick)
        kind = type(full[0] if isinstance(full, (list, tuple)) else full)
        more.setdefault("type", kind)
        sizes = f"({_shown(full)}; quick: {_shown(quick)})"
        self._parser.add_argument(flag, help=f"{help} {sizes}", **more)

    def flag(self, flag: str, *, help: str) -> None:
        """An option that is there or not."""
        self._parser.add_argument(flag, action="store_true", help=help)

    def start(self) -> argparse.Namespace:
        """The options of this run."""
        self.options = self._parser.parse_args()
        for name, (full, quick) in self._sizes.items():
            if getattr(self.options, name) is None:
                setattr(self.options, name, quick if self.options.quick else full)
        return self.options

    @contextmanager
    def progress(self, total: int) -> Iterator[Step]:
        """A bar on a terminal that each call of the yielded function moves on; else nothing."""
        if not sys.stderr.isatty():
            yield lambda text: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (BarColumn(), MofNCompleteColumn(), Remaining(), TextColumn("{task.description}"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=total)

            def step(text: str) -> None:
                bar.update(task, advance=1, description=text)

            yield step

    def finish(self, *tables: Table, plot: Drawn, **facts: Any) -> None:
        """Print the tables; write what was asked for."""
        if self.options.json != "-":
            for table in tables:
                print("\n".join(table.lines()), end="\n\n")
        if self.options.json:
            self._write_json(tables, facts)
        if self.options.svg:
            Path(self.options.svg).write_text(plot.svg())

    def _write_json(self, tables: Sequence[Table], facts: dict[str, Any]) -> None:
        found = {
            "benchmark": Path(sys.argv[0]).stem,
            "about": self._about.split("\n\n", 1)[0].replace("\n", " ").strip(),
            "seconds": round(time.monotonic() - self._begun),
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": machine_info.describe(),
            "options": {k: v for k, v in vars(self.options).items() if k not in {"json", "svg"}},
            "tables": {table.name: table.value() for table in tables},
            **facts,
        }
        text = json.dumps(found, indent=1) + "\n"
        if self.options.json == "-":
            print(text, end="")
        else:
            Path(self.options.json).write_text(text)


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return str(value)
