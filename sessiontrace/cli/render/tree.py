"""A stored session as a tree for the terminal, with rich or as plain text.

Pure over a ``StoredSession``. Invariant: the tree shows every step exactly once. A step whose
parent is missing, or is its own descendant, is directly under the session and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from sessiontrace.cli.render.format import amount, cost, duration, printable, when
from sessiontrace.store.models import ENDED, EventSummary, SessionSummary, StoredSession

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

__all__ = ["render_session", "render_text", "steps_with_depth"]

_NAME_WIDTH = 48
_NOTE_WIDTH = 200
_INDENT = 4

_STYLES = {"model": "magenta", "tool": "cyan", "chain": "blue", "turn": "green"}


@attrs.define
class _Node:
    """One step and its place in the tree."""

    event: EventSummary
    orphan: bool = False
    depth: int = 0
    children: list[_Node] = attrs.field(factory=list)

    @property
    def kind(self) -> str:
        return "turn" if self.event.turn else self.event.type

    @property
    def notes(self) -> list[str]:
        """Remarks for the end of its line: status, tokens, a missing parent."""
        event = self.event
        notes = [] if event.status == ENDED else [event.status]
        if event.tokens:
            notes.append(amount(event.tokens, "token"))
        if money := cost(event.cost, event.unpriced, event.tokens):
            notes.append(money)
        if self.orphan:
            notes.append("its parent is missing")
        return notes


def render_session(stored: StoredSession) -> Tree:
    """The session as a ``rich.tree.Tree``; needs rich."""
    from rich.text import Text
    from rich.tree import Tree

    roots = _nested(stored)
    width = _name_width(roots)
    head = Text(printable(stored.summary.name or "unnamed session"), style="bold")
    head.append(f"  {_about(stored.summary)}", style="default not bold")
    tree = Tree(head, guide_style="dim")
    if stored.summary.error is not None:
        tree.add(Text(f"✗ {printable(stored.summary.error, _NOTE_WIDTH)}", style="red"))
    branches = {"": tree}
    for node in _depth_first(roots):
        parent = branches[node.event.parent_id or ""] if node.depth else tree
        branches[node.event.event_id] = parent.add(_rich_line(node, width))
    if stored.omitted:
        tree.add(Text(_omitted(stored), style="dim"))
    return tree


def render_text(stored: StoredSession) -> str:
    """The session as lines of plain text, without a final line break."""
    roots = _nested(stored)
    width = _name_width(roots)
    lines = [f"{printable(stored.summary.name or 'unnamed session')}  {_about(stored.summary)}"]
    if stored.summary.error is not None:
        lines.append(f"✗ {printable(stored.summary.error, _NOTE_WIDTH)}")
    last: list[bool] = []  # for each level on the way down, whether its node is the last there
    for node, is_last in _depth_first_with_last(roots, bool(stored.omitted)):
        del last[node.depth :]
        last.append(is_last)
        guides = "".join("    " if done else "│   " for done in last[:-1])
        guides += "└── " if is_last else "├── "
        lines.append(guides + _plain_line(node, width))
    if stored.omitted:
        lines.append(f"└── {_omitted(stored)}")
    return "\n".join(lines)


def steps_with_depth(stored: StoredSession) -> Iterator[tuple[EventSummary, int]]:
    """Every step before those below it, with its depth: 0 directly under the session."""
    for node in _depth_first(_nested(stored)):
        yield node.event, node.depth


def _about(summary: SessionSummary) -> str:
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


def _columns(node: _Node, width: int) -> tuple[str, str, str]:
    name = printable(node.event.name, _NAME_WIDTH)
    room = max(0, width - node.depth * _INDENT - len(name))
    took = "running" if node.event.duration is None else duration(node.event.duration)
    return name + " " * room, f"{printable(node.kind, 7):<7}", f"{took:>10}"


def _plain_line(node: _Node, width: int) -> str:
    notes = list(node.notes)
    if node.event.error is not None:
        notes.append(f"✗ {printable(node.event.error, _NOTE_WIDTH)}")
    return "  ".join([*_columns(node, width), " · ".join(notes)]).rstrip()


def _rich_line(node: _Node, width: int) -> Text:
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


def _name_width(roots: Sequence[_Node]) -> int:
    return max(
        (
            node.depth * _INDENT + len(printable(node.event.name, _NAME_WIDTH))
            for node in _depth_first(roots)
        ),
        default=0,
    )


def _nested(stored: StoredSession) -> list[_Node]:
    """The steps directly under the session; each holds the steps below it."""
    nodes = {event.event_id: _Node(event) for event in stored.events}
    roots: list[_Node] = []
    for node in nodes.values():
        parent = nodes.get(node.event.parent_id or "")
        if parent is not None and not _is_below(node, parent, nodes):
            parent.children.append(node)
        else:
            node.orphan = node.event.parent_id not in (None, node.event.session_id)
            roots.append(node)
    return roots


def _is_below(node: _Node, parent: _Node, nodes: dict[str, _Node]) -> bool:
    """Whether ``parent`` is below ``node`` already: only invented parent ids form a ring."""
    seen: set[str] = set()
    above: _Node | None = parent
    while above is not None and above.event.event_id not in seen:
        if above is node:
            return True
        seen.add(above.event.event_id)
        above = nodes.get(above.event.parent_id or "")
    return False


def _depth_first(roots: Sequence[_Node]) -> Iterator[_Node]:
    return (node for node, _ in _depth_first_with_last(roots, False))


def _depth_first_with_last(roots: Sequence[_Node], omitted: bool) -> Iterator[tuple[_Node, bool]]:
    """Every node before those below it, and whether it is the last under its parent."""
    ahead = [(node, at == len(roots) - 1 and not omitted) for at, node in enumerate(roots)][::-1]
    while ahead:
        node, is_last = ahead.pop()
        yield node, is_last
        below = node.children
        for child in below:
            child.depth = node.depth + 1
        ahead.extend((child, child is below[-1]) for child in reversed(below))
