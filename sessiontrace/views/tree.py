"""A stored session as a tree for the terminal, with rich or as plain text.

Pure over a ``StoredSession``. Invariant: every recorded text passes through ``printable``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessiontrace.store.models import SessionSummary, StoredSession
from sessiontrace.text.format import amount, cost, duration, printable, when
from sessiontrace.views.step_tree import StepNode, depth_first, depth_first_with_last, nested

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

__all__ = ["about", "render_session", "render_text"]

_NAME_WIDTH = 48
_NOTE_WIDTH = 200
_INDENT = 4

_STYLES = {"model": "magenta", "tool": "cyan", "chain": "blue", "turn": "green"}


def render_session(stored: StoredSession) -> Tree:
    """The session as a ``rich.tree.Tree``; needs rich."""
    from rich.text import Text
    from rich.tree import Tree

    roots = nested(stored)
    width = _name_width(roots)
    head = Text(printable(stored.summary.name or "unnamed session"), style="bold")
    head.append(f"  {about(stored.summary)}", style="default not bold")
    tree = Tree(head, guide_style="dim")
    if stored.summary.error is not None:
        tree.add(Text(f"✗ {printable(stored.summary.error, _NOTE_WIDTH)}", style="red"))
    branches = {"": tree}
    for node in depth_first(roots):
        parent = branches[node.event.parent_id or ""] if node.depth else tree
        branches[node.event.event_id] = parent.add(_rich_line(node, width))
    if stored.omitted:
        tree.add(Text(_omitted(stored), style="dim"))
    return tree


def render_text(stored: StoredSession) -> str:
    """The session as lines of plain text, without a final line break."""
    roots = nested(stored)
    width = _name_width(roots)
    lines = [f"{printable(stored.summary.name or 'unnamed session')}  {about(stored.summary)}"]
    if stored.summary.error is not None:
        lines.append(f"✗ {printable(stored.summary.error, _NOTE_WIDTH)}")
    last: list[bool] = []  # for each level on the way down, whether its node is the last there
    for node, is_last in depth_first_with_last(roots, bool(stored.omitted)):
        del last[node.depth :]
        last.append(is_last)
        guides = "".join("    " if done else "│   " for done in last[:-1])
        guides += "└── " if is_last else "├── "
        lines.append(guides + _plain_line(node, width))
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


def _columns(node: StepNode, width: int) -> tuple[str, str, str]:
    name = printable(node.event.name, _NAME_WIDTH)
    room = max(0, width - node.depth * _INDENT - len(name))
    took = "running" if node.event.duration is None else duration(node.event.duration)
    return name + " " * room, f"{printable(node.kind, 7):<7}", f"{took:>10}"


def _plain_line(node: StepNode, width: int) -> str:
    notes = list(node.notes)
    if node.event.error is not None:
        notes.append(f"✗ {printable(node.event.error, _NOTE_WIDTH)}")
    return "  ".join([*_columns(node, width), " · ".join(notes)]).rstrip()


def _rich_line(node: StepNode, width: int) -> Text:
    from rich.text import Text

    name, kind, took = _columns(node, width)
    failed = node.event.error is not None
    line = Text(name, style="bold red" if failed else "bold", no_wrap=False)
    line.append(f"  {kind}", style=f"not bold {_STYLES.get(node.kind, 'default')}")
    line.append(f"  {took}", style="not bold default")
    if node.notes:
        line.append(f"  {' · '.join(node.notes)}", style="not bold yellow")
    if node.event.error is not None:
        line.append(f"  ✗ {printable(node.event.error, _NOTE_WIDTH)}", style="not bold red")
    return line


def _name_width(roots: Sequence[StepNode]) -> int:
    return max(
        (
            node.depth * _INDENT + len(printable(node.event.name, _NAME_WIDTH))
            for node in depth_first(roots)
        ),
        default=0,
    )
