"""Two sessions lined up: which step of the one is which of the other.

Pure functions, no thread owns them. Steps are aligned as trees, by their place below the same
parents and by their types, and by their names only where several would fit: a model call that is
named after its model stays the same call. Invariant: every step is in exactly one pair, and the
work is bounded by the product of the numbers of steps in bits (10 000 by 10 000 steps: seconds).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import attrs

from sessiontrace.store.models import EventSummary

__all__ = ["Pair", "align"]


@attrs.frozen
class Pair:
    """A step of the one session and its counterpart; one side is None for a step without any.

    ``depth``: how deep it is below the session, from 0. ``moved``: the counterpart is below another
    parent.
    """

    left: EventSummary | None
    right: EventSummary | None
    depth: int = 0
    moved: bool = False


@attrs.define(eq=False)
class _Node:
    event: EventSummary | None
    depth: int
    children: list[_Node] = attrs.field(factory=list)
    partner: _Node | None = None
    moved: bool = False
    shape: int = 0

    @property
    def type(self) -> str:
        event = self.event
        return "session" if event is None else "turn" if event.turn else event.type

    @property
    def name(self) -> str:
        return "" if self.event is None else self.event.name


def align(left: Sequence[EventSummary], right: Sequence[EventSummary]) -> list[Pair]:
    """The pairs in the order of the left session, with what only the right one has in its place."""
    trees = _grow(left), _grow(right)
    shapes: dict[Hashable, int] = {}
    for tree in trees:
        _number_shapes(tree, shapes)
    _align_below(*trees)
    _align_moved(*trees)
    return list(_pairs(*trees))


def _grow(events: Sequence[EventSummary]) -> _Node:
    """The steps as a tree; a step whose parent is missing or its own descendant is at the top."""
    root = _Node(None, -1)
    nodes = {event.event_id: _Node(event, 0) for event in events}
    parents = {event.event_id: event.parent_id for event in events}
    for event in events:
        parent = None if event.parent_id is None else nodes.get(event.parent_id)
        if parent is None or _is_below(event.event_id, event.parent_id, parents):
            parent = root
        parent.children.append(nodes[event.event_id])
    for node in _walk(root):
        for child in node.children:
            child.depth = node.depth + 1
    return root


def _is_below(event_id: str, parent_id: str | None, parents: dict[str, str | None]) -> bool:
    """Whether the chain of parents comes back to the event."""
    passed: set[str] = set()
    while parent_id is not None and parent_id not in passed:
        if parent_id == event_id:
            return True
        passed.add(parent_id)
        parent_id = parents.get(parent_id)
    return False


def _walk(root: _Node) -> Iterator[_Node]:
    """Depth first, each node before those below it."""
    ahead = [root]
    while ahead:
        node = ahead.pop()
        yield node
        ahead.extend(reversed(node.children))


def _number_shapes(root: _Node, numbers: dict[Hashable, int]) -> None:
    """Give equal subtrees (types and names) equal numbers."""
    for node in reversed(list(_walk(root))):
        shape = (node.type, node.name, tuple(child.shape for child in node.children))
        node.shape = numbers.setdefault(shape, len(numbers))


def _align_below(left: _Node, right: _Node) -> None:
    """Pair the steps below two nodes that are a pair."""
    ahead = [(left, right)]
    while ahead:
        first, second = ahead.pop()
        first.partner, second.partner = second, first
        ahead += _matches(first.children, second.children)


_SIGNS: Sequence[Callable[[_Node], Hashable]] = (
    lambda node: node.shape,
    lambda node: (node.type, node.name),
    lambda node: node.type,
)


def _matches(left: Sequence[_Node], right: Sequence[_Node]) -> list[tuple[_Node, _Node]]:
    """Pairs of two lists of siblings: equal subtrees first, then equal names, then equal types."""
    gaps = [(left, right)]
    matches: list[tuple[_Node, _Node]] = []
    for sign in _SIGNS:
        narrower: list[tuple[Sequence[_Node], Sequence[_Node]]] = []
        for first, second in gaps:
            common = _common([sign(node) for node in first], [sign(node) for node in second])
            at = at_other = 0
            for place, place_other in common:
                narrower.append((first[at:place], second[at_other:place_other]))
                matches.append((first[place], second[place_other]))
                at, at_other = place + 1, place_other + 1
            narrower.append((first[at:], second[at_other:]))
        gaps = [gap for gap in narrower if gap[0] and gap[1]]
    return matches


def _align_moved(left: _Node, right: _Node) -> None:
    """Pair what is left over, in its order: a step may have got another parent."""
    for sign in _SIGNS[1:2]:
        remaining = [
            [node for node in _walk(tree) if node.partner is None] for tree in (left, right)
        ]
        signs = [[sign(node) for node in nodes] for nodes in remaining]
        for place, place_other in _common(*signs):
            first, second = remaining[0][place], remaining[1][place_other]
            first.partner, second.partner = second, first
            first.moved = second.moved = True


def _common(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The places of a longest common subsequence.

    Hyyrö's bit-parallel algorithm: a row of the table is one integer, a bit for each of ``left``.
    """
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    end = 0
    limit = min(len(left), len(right)) - start
    while end < limit and left[-1 - end] == right[-1 - end]:
        end += 1
    middle = _common_of(left[start : len(left) - end], right[start : len(right) - end])
    return [
        *((at, at) for at in range(start)),
        *((at + start, at_other + start) for at, at_other in middle),
        *((len(left) - at, len(right) - at) for at in range(end, 0, -1)),
    ]


def _common_of(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    if not left or not right:
        return []
    places: dict[Hashable, int] = {}
    for at, sign in enumerate(left):
        places[sign] = places.get(sign, 0) | 1 << at
    full = (1 << len(left)) - 1
    row, table = full, []
    for sign in right:
        matching = row & places.get(sign, 0)
        row = ((row + matching) | (row - matching)) & full
        table.append(row)
    pairs: list[tuple[int, int]] = []
    at, at_other = len(left), len(right)
    while at and at_other:
        if table[at_other - 1] >> (at - 1) & 1:
            at -= 1
        else:
            at_other -= 1
            if not at_other or table[at_other - 1] >> (at - 1) & 1:
                at -= 1
                pairs.append((at, at_other))
    return pairs[::-1]


def _pairs(left: _Node, right: _Node) -> Iterator[Pair]:
    """All pairs, the nodes of the left tree in their order, and the others where they belong."""
    ahead: list[tuple[_Node | None, _Node | None]] = [(left, right)]
    while ahead:
        first, second = ahead.pop()
        if first is not None and first.event is not None:
            partner = first.partner
            yield Pair(first.event, partner.event if partner else None, first.depth, first.moved)
            second = None if first.moved else second
        elif first is None and second is not None and not second.moved:
            yield Pair(None, second.event, second.depth)
        ahead.extend(reversed(_zipped(first, second)))


def _zipped(first: _Node | None, second: _Node | None) -> list[tuple[_Node | None, _Node | None]]:
    """The children of a pair, in the order of both."""
    left = [] if first is None else first.children
    right = [] if second is None else second.children
    rows: list[tuple[_Node | None, _Node | None]] = []
    at = 0
    for child in left:
        partner = None if child.moved else child.partner
        if partner is not None:
            while right[at] is not partner:
                rows.append((None, right[at]))
                at += 1
            at += 1
        rows.append((child, partner))
    rows += [(None, child) for child in right[at:]]
    return rows
