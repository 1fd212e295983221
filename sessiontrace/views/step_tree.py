"""The steps of a stored session as a tree, whatever their parent ids say.

Pure over a ``StoredSession``. Invariant: the tree has every step exactly once. A step whose parent
is missing, or is its own descendant, is directly under the session and is marked as an orphan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from sessiontrace.store.models import ENDED, EventSummary, StoredSession
from sessiontrace.text.format import amount, cost

__all__ = ["StepNode", "depth_first", "depth_first_with_last", "nested", "steps_with_depth"]


@attrs.define
class StepNode:
    """One step and its place in the tree."""

    event: EventSummary
    orphan: bool = False
    depth: int = 0
    children: list[StepNode] = attrs.field(factory=list)

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


def steps_with_depth(stored: StoredSession) -> Iterator[tuple[EventSummary, int]]:
    """Every step before those below it, with its depth: 0 directly under the session."""
    for node in depth_first(nested(stored)):
        yield node.event, node.depth


def nested(stored: StoredSession) -> list[StepNode]:
    """The steps directly under the session; each holds the steps below it."""
    nodes = {event.event_id: StepNode(event) for event in stored.events}
    roots: list[StepNode] = []
    for node in nodes.values():
        parent = nodes.get(node.event.parent_id or "")
        if parent is not None and not _is_below(node, parent, nodes):
            parent.children.append(node)
        else:
            node.orphan = node.event.parent_id not in (None, node.event.session_id)
            roots.append(node)
    return roots


def _is_below(node: StepNode, parent: StepNode, nodes: dict[str, StepNode]) -> bool:
    """Whether ``parent`` is below ``node`` already: only invented parent ids form a ring."""
    seen: set[str] = set()
    above: StepNode | None = parent
    while above is not None and above.event.event_id not in seen:
        if above is node:
            return True
        seen.add(above.event.event_id)
        above = nodes.get(above.event.parent_id or "")
    return False


def depth_first(roots: Sequence[StepNode]) -> Iterator[StepNode]:
    """Every node before those below it."""
    return (node for node, _ in depth_first_with_last(roots, False))


def depth_first_with_last(
    roots: Sequence[StepNode], omitted: bool
) -> Iterator[tuple[StepNode, bool]]:
    """Every node before those below it, and whether it is the last under its parent."""
    ahead = [(node, at == len(roots) - 1 and not omitted) for at, node in enumerate(roots)][::-1]
    while ahead:
        node, is_last = ahead.pop()
        yield node, is_last
        below = node.children
        for child in below:
            child.depth = node.depth + 1
        ahead.extend((child, child is below[-1]) for child in reversed(below))
