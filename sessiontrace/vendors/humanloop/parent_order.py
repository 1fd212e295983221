"""A batch as a forest: the order in which its logs must be posted.

Pure; no thread owns it. Invariant: a log's level is greater than that of its parent in the same
batch, whatever the ids say, circles included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sessiontrace.model import payload
from sessiontrace.model.record import END, EVENT, OPEN, START, UPDATE, Record
from sessiontrace.runtime.throttle import throttled

__all__ = ["Forest", "Node"]


class Node:
    """One log to be posted, and the indices of the records that it carries.

    ``event``: its fields, ``inputs`` and ``outputs`` encoded. ``parent_id``: the id of its parent,
    None for sessions and turns.
    """

    __slots__ = ("event", "kind", "level", "parent_id", "records", "updates")

    def __init__(self, event: dict[str, Any], kind: bytes, index: int) -> None:
        self.records: list[int] = [index]
        self.updates: list[dict[str, Any]] = []
        self.level: int | None = None
        self.replace_event(event, kind)

    def replace_event(self, event: dict[str, Any], kind: bytes) -> None:
        """Take the fields of the log from this event."""
        self.event: dict[str, Any] = event
        self.kind: bytes = kind
        parent = event.get("parent_id") if kind == EVENT else None
        self.parent_id: str | None = parent if isinstance(parent, str) and parent else None


class Forest:
    """The logs of a batch by id, and the updates of logs that are not in it.

    ``by_session``: a log whose parent is not in the batch becomes a child of its session.
    """

    def __init__(self, records: Sequence[Record], *, by_session: bool = False) -> None:
        self._by_session = by_session
        self.nodes: dict[str, Node] = {}
        self.strays: list[tuple[int, dict[str, Any]]] = []
        updates: list[tuple[int, dict[str, Any]]] = []
        for index, record in enumerate(records):
            event = payload.fields(record)
            if record.kind == UPDATE:
                updates.append((index, event))
            else:
                self._take(index, record.kind, event)
        for index, event in updates:
            node = self.nodes.get(event["event_id"])
            if node is None:
                self.strays.append((index, event))
            else:
                node.updates.append(event)
                node.records.append(index)

    def _take(self, index: int, kind: bytes, event: dict[str, Any]) -> None:
        node = self.nodes.get(event["event_id"])
        if node is None:
            self.nodes[event["event_id"]] = Node(event, kind, index)
            return
        if node.kind in (START, OPEN) and kind in (START, OPEN):
            return
        if node.kind in (START, OPEN):
            # The end contains all that the start does; no request carries the start.
            node.records.clear()
        node.records.append(index)
        if kind in (END, EVENT):
            node.replace_event(event, kind)

    def levels(self) -> Iterator[list[Node]]:
        """The nodes by level, parents first."""
        nodes_by_level: list[list[Node]] = []
        for node in throttled(list(self.nodes.values())):
            level = self._level(node)
            while len(nodes_by_level) <= level:
                nodes_by_level.append([])
            nodes_by_level[level].append(node)
        yield from nodes_by_level

    def dissolve(self) -> None:
        """Free the nodes one by one: freeing a whole batch at once takes milliseconds."""
        for _ in throttled(range(len(self.nodes))):
            self.nodes.popitem()

    def above(self, node: Node) -> Node | None:
        """The parent, if it is in this batch and on a lower level."""
        parent = self._parent(node)
        if parent is None or parent.level is None or node.level is None:
            return None
        return parent if parent.level < node.level else None

    def _parent(self, node: Node) -> Node | None:
        parent = self.nodes.get(node.parent_id or "")
        if parent is None and self._by_session and node.kind == EVENT:
            parent = self.nodes.get(node.event["session_id"])
        return parent

    def _level(self, node: Node) -> int:
        path: list[Node] = []
        seen: set[int] = set()
        at: Node | None = node
        while at is not None and at.level is None and id(at) not in seen:
            path.append(at)
            seen.add(id(at))
            at = self._parent(at)
        level = at.level if at is not None and at.level is not None else -1
        for ancestor in reversed(path):
            level += 1
            ancestor.level = level
        assert node.level is not None
        return node.level
