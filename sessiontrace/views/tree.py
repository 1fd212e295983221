"""A stored session as a tree for the terminal, with rich or as plain text.

Pure over a ``StoredSession``. A step is one line: where the terminal is narrow or the tree deep,
levels are indented less and names are cut. An error that does not fit into its step's line is
below it. Invariant: every recorded text passes through ``printable``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from sessiontrace.model.step_types import base_type
from sessiontrace.store.models import SessionSummary, StoredSession
from sessiontrace.text.format import amount, cost, duration, printable, when
from sessiontrace.views.step_tree import StepNode, depth_first_with_last, nested

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

__all__ = ["about", "render_session", "render_text"]

_NAME_WIDTH = 48
_NAME_LEAST = 16  # columns of a name in the narrowest tree
_NOTE_WIDTH = 200
_KIND_LEAST, _KIND_MOST = 7, 9
_FIXED = 21  # columns of type and duration, with the gaps
_NOTES_LEAST = 22  # columns behind them, for tokens and cost
_WIDE = 100_000
_STYLES = {"model": "magenta", "tool": "cyan", "chain": "blue", "turn": "green"}
_GUIDES = {  # by the columns of a level: open, done, a step, the last step
    4: ("│   ", "    ", "├── ", "└── "),
    2: ("│ ", "  ", "├ ", "└ "),
    1: ("│", " ", "├ ", "└ "),
}


@attrs.frozen
class _Layout:
    """``indent``: columns of a level; ``levels``: the most that are drawn.

    ``name``, ``kind``: the widths of their columns.
    """

    indent: int
    levels: int
    name: int
    kind: int


@attrs.frozen
class _Line:
    """One line: a step, or (with ``error`` only) the error of the step above it."""

    guides: str
    name: str = ""
    kind: str = ""
    took: str = ""
    notes: str = ""
    error: str = ""

    @property
    def plain(self) -> str:
        step = (self.name, f"{self.kind:<7}", f"{self.took:>10}") if self.kind else ()
        tail = " · ".join(part for part in (self.notes, self.error) if part)
        return self.guides + "  ".join([*step, tail]).rstrip()

    def styled(self) -> Text:
        from rich.text import Text

        line = Text(self.guides, style="dim", no_wrap=True, overflow="ellipsis")
        failed = "bold red" if self.error else "bold"
        if self.kind:
            line.append(self.name, style=f"not dim {failed}")
            line.append(
                f"  {self.kind:<7}", style=f"not dim {_STYLES.get(base_type(self.kind), 'default')}"
            )
            line.append(f"  {self.took:>10}", style="not dim default")
        if self.notes:
            line.append(f"  {self.notes}", style="not dim yellow")
        if self.error:
            gap = " · " if self.notes else "  " if self.kind else ""
            line.append(f"{gap}{self.error}", style="not dim red")
        line.rstrip()
        return line


@attrs.frozen
class _Drawing:
    """What rich prints, as wide as its console."""

    stored: StoredSession

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.text import Text

        summary = self.stored.summary
        head = Text(printable(summary.name or "unnamed session"), style="bold")
        head.append(f"  {about(summary)}", style="default not bold")
        yield head
        if summary.error is not None:
            yield Text(f"✗ {printable(summary.error, _NOTE_WIDTH)}", style="red")
        for line in _lines(self.stored, options.max_width):
            yield line.styled()
        if self.stored.omitted:
            yield Text(f"└── {_omitted(self.stored)}", style="dim")


def render_session(stored: StoredSession) -> Any:
    """The session as a renderable for rich, no line of a step wider than its console."""
    return _Drawing(stored)


def render_text(stored: StoredSession, width: int = _WIDE) -> str:
    """The session as lines of plain text, without a final line break; ``width`` in columns."""
    lines = [f"{printable(stored.summary.name or 'unnamed session')}  {about(stored.summary)}"]
    if stored.summary.error is not None:
        lines.append(f"✗ {printable(stored.summary.error, _NOTE_WIDTH)}")
    lines += [line.plain for line in _lines(stored, width)]
    if stored.omitted:
        lines.append(f"└── {_omitted(stored)}")
    return "\n".join(lines)


def about(summary: SessionSummary) -> str:
    """Duration, outcome, counts, user and start of a session, in one line."""
    parts = [duration(summary.duration), summary.outcome, amount(summary.events, "step")]
    if summary.errors:
        parts.append(amount(summary.errors, "error"))
    if summary.tokens:
        parts.append(amount(summary.tokens, "token"))
    if money := cost(summary.cost, summary.unpriced, summary.tokens):
        parts.append(money)
    if summary.user:
        parts.append(f"user {printable(summary.user, _NAME_WIDTH)}")
    parts.append(when(summary.start_time))
    return " · ".join(parts)


def _omitted(stored: StoredSession) -> str:
    return f"… and {amount(stored.omitted, 'step')} more"


def _lines(stored: StoredSession, width: int) -> Iterator[_Line]:
    nodes = list(depth_first_with_last(nested(stored), bool(stored.omitted)))
    layout = _layout([node for node, _ in nodes], width)
    last: list[bool] = []  # for each level on the way down, whether its node is the last there
    for node, is_last in nodes:
        del last[node.depth :]
        last.append(is_last)
        yield from _lines_of(node, last, layout, width)


def _layout(nodes: Sequence[StepNode], width: int) -> _Layout:
    """The widest indentation that leaves room for names, and the column of the names."""
    deepest = max((node.depth for node in nodes), default=0)
    kind = max((min(len(node.kind), _KIND_MOST) for node in nodes), default=0)
    room = max(_NAME_LEAST + 4, width - _FIXED - max(0, kind - _KIND_LEAST) - _NOTES_LEAST)
    for indent in _GUIDES:
        natural = max((_natural(node, indent) for node in nodes), default=0)
        if natural <= room or (deepest + 1) * indent + _NAME_LEAST <= room:
            return _Layout(indent, deepest + 1, min(natural, room), kind)
    return _Layout(1, room - _NAME_LEAST, room, kind)


def _natural(node: StepNode, indent: int) -> int:
    return (node.depth + 1) * indent + (indent == 1) + len(printable(node.event.name, _NAME_WIDTH))


def _lines_of(node: StepNode, last: Sequence[bool], layout: _Layout, width: int) -> Iterator[_Line]:
    opened, done, step, end = _GUIDES[layout.indent]
    above = "".join(done if is_last else opened for is_last in last[:-1])
    guides = above + (end if last[-1] else step)
    under = above + (done if last[-1] else opened)
    if len(last) > layout.levels:  # too deep to draw: its level as a number
        guides = under = f"…{len(last)} ".rjust(layout.levels)
    name = printable(node.event.name, _NAME_WIDTH)
    room = max(1, layout.name - len(guides))
    name = name[: room - 1] + "…" if len(name) > room else name.ljust(room)
    took = "running" if node.event.duration is None else duration(node.event.duration)
    line = _Line(
        guides,
        name,
        printable(node.kind, _KIND_MOST).ljust(layout.kind),
        took,
        " · ".join(node.notes),
    )
    if node.event.error is None:
        yield line
        return
    error = f"✗ {printable(node.event.error, _NOTE_WIDTH)}"
    with_error = attrs.evolve(line, error=error)
    if len(with_error.plain) <= width:
        yield with_error
        return
    yield line
    for part in textwrap.wrap(error, max(_NAME_LEAST, width - len(under) - 1)):
        yield _Line(under, error=part)
