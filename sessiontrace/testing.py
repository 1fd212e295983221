"""For tests of traced programs: records in a list, repeatable ids and times, trees to compare.

    with sessiontrace.testing.capture() as traces:
        answer("hi")
    traces.assert_tree('''
        session chat
          chain answer
            tool search !ValueError: nothing found
    ''')

Runs in the test's threads. Invariant: inside the block nothing is written anywhere, and after it
the default tracer is what it was before.
"""

from __future__ import annotations

import difflib
import itertools
import textwrap
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import orjson

from sessiontrace.api import default_tracer
from sessiontrace.capture.context import executors
from sessiontrace.capture.first_use import Session, Span, UnrecordedSpan
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.redaction.redactor import Redactor
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model import ids
from sessiontrace.text.format import amount
from sessiontrace.text.html_tree import TreeRow, html_or_none, tree_html
from sessiontrace.tracer import Tracer

__all__ = ["Captured", "Node", "capture"]

START_NS = 1_767_225_600_000_000_000
"""The moment at which pinned clocks start: 2026-01-01T00:00:00Z. Each look takes a millisecond."""


@attrs.define
class Node:
    """One session or event with its children, in the order they began.

    ``record``: the whole record as a dict; the rest are its fields. ``open``: never ended.
    """

    record: dict[str, Any]
    children: list[Node] = attrs.field(factory=list)
    open: bool = False

    @property
    def name(self) -> str:
        """The event's name."""
        return str(self.record["event_name"])

    @property
    def type(self) -> str:
        """The step's type, such as "model", or "session"."""
        return str(self.record["event_type"])

    @property
    def inputs(self) -> dict[str, Any]:
        """As recorded; empty when there are none."""
        return dict(self.record.get("inputs", {}))

    @property
    def outputs(self) -> Any:
        """As recorded; a result that was not an object is unwrapped."""
        outputs = self.record.get("outputs")
        wrapped = isinstance(outputs, dict) and list(outputs) == ["result"]
        return outputs["result"] if wrapped and outputs is not None else outputs

    @property
    def error(self) -> str | None:
        """``Type: message``, or None."""
        error = self.record.get("error")
        return None if error is None else str(error)

    def find(self, name: str) -> Node:
        """The one descendant of that name; AssertionError when there are none or several."""
        nodes = [node for node in self.walk() if node.name == name and node is not self]
        if len(nodes) != 1:
            raise AssertionError(f"{len(nodes)} events named {name!r} in\n{self.tree()}")
        return nodes[0]

    def walk(self) -> Iterator[Node]:
        """The node and all its descendants."""
        yield self
        for child in self.children:
            yield from child.walk()

    def _repr_html_(self) -> str | None:
        """The tree in a notebook."""

        def build() -> str:
            head, *rows = _html_rows(self, -1)
            return tree_html(head, rows)

        return html_or_none(build)

    def tree(self) -> str:
        """One line for each event, indented by two spaces a level."""
        marks = f" !{self.error}" if self.error else ""
        marks += " (cancelled)" if self.record.get("metadata", {}).get("cancelled") else ""
        marks += " (open)" if self.open else ""
        lines = [f"{self.type} {self.name}{marks}"]
        lines += [textwrap.indent(child.tree(), "  ") for child in self.children]
        return "\n".join(lines)


def _html_rows(node: Node, depth: int) -> Iterator[TreeRow]:
    notes = f"{node.type} (open)" if node.open else node.type
    yield TreeRow(depth, node.name, notes, node.error)
    for child in node.children:
        yield from _html_rows(child, depth + 1)


class Captured:
    """The recorded sessions: ``records`` as ``(kind, record)`` pairs, and as trees."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.dropped: list[str] = []

    def offer(self, header: bytes, body: bytes) -> bool:
        """Take a record from the tracer."""
        self.records.append((header.decode(), orjson.loads(body)))
        return True

    def holds(self, body: bytes) -> bool:
        """Whether this record was taken: what a signal handler raises may hide the answer."""
        return any(record == orjson.loads(body) for _, record in self.records)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The records of all finished spans, in the order they ended."""
        return [record for kind, record in self.records if kind == "event"]

    @property
    def sessions(self) -> list[Node]:
        """A tree for each session (or turn), in the order they began."""
        nodes: dict[str, Node] = {}
        for kind, record in self.records:
            if kind != "update":
                nodes[record["event_id"]] = Node(record, open=kind == "start")
        for kind, record in self.records:
            if kind == "update" and record["event_id"] in nodes:
                _merge(nodes[record["event_id"]].record, record)
        roots: list[Node] = []
        for node in nodes.values():
            parent = nodes.get(node.record.get("parent_id", ""))
            (roots if parent is None else parent.children).append(node)
        for node in nodes.values():
            node.children.sort(
                key=lambda child: (child.record["start_time"], child.record["event_id"])
            )
        return roots

    @property
    def session(self) -> Node:
        """The only session; AssertionError when there are none or several."""
        sessions = self.sessions
        if len(sessions) != 1:
            raise AssertionError(f"{len(sessions)} sessions:\n{self.tree()}")
        return sessions[0]

    def tree(self) -> str:
        """All sessions as text."""
        return "\n".join(node.tree() for node in self.sessions)

    def _repr_html_(self) -> str | None:
        """All sessions in a notebook."""

        def build() -> str:
            sessions = self.sessions
            rows = [row for node in sessions for row in _html_rows(node, 0)]
            return tree_html(TreeRow(0, amount(len(sessions), "captured session")), rows)

        return html_or_none(build)

    def assert_tree(self, expected: str) -> None:
        """Compare with ``tree()``; the error shows the difference line by line."""
        expected_lines = textwrap.dedent(expected).strip("\n").rstrip().splitlines()
        recorded = self.tree().splitlines()
        if expected_lines != recorded:
            lines = difflib.unified_diff(
                expected_lines, recorded, "expected", "recorded", lineterm=""
            )
            raise AssertionError("the trees differ\n" + "\n".join(lines))


def _merge(record: dict[str, Any], update: dict[str, Any]) -> None:
    for name, value in update.items():
        before = record.get(name)
        both = isinstance(before, dict) and isinstance(value, dict) and name != "outputs"
        record[name] = {**before, **value} if both and before is not None else value


@contextmanager
def capture(
    *, tracer: Tracer | None = None, pinned: bool = True, redact: bool = True
) -> Iterator[Captured]:
    """Record into the ``Captured`` it gives instead of anywhere else, until the block ends.

    ``tracer``: default that of the module-level functions. ``pinned``: ids count up from one and
    every look at the clock takes a millisecond, so that two runs give the same records.
    ``redact``: mask secrets, as by default.
    """
    tracer = tracer or default_tracer
    captured = Captured()
    variable = tracer._current
    recorder = TracerState(
        offer=captured.offer,
        holds=captured.holds,
        drop=captured.dropped.append,
        current=variable,
        session_class=Session,
        span_class=Span,
        unrecorded_class=UnrecordedSpan,
        frame_headers=FrameHeaders(b"start", b"event", b"end", b"update"),
        source="test",
        service="test",
        redact=Redactor() if redact else None,
        tracer=weakref.ref(tracer),
    )
    undo = _pin() if pinned else None
    before = tracer.off, tracer.recorder, variable.get()
    executors.carry(variable)
    tracer.off, tracer.recorder = False, recorder
    variable.set(None)
    try:
        yield captured
    finally:
        tracer.off, tracer.recorder = before[0], before[1]
        variable.set(before[2])
        if undo is not None:
            undo()


def _pin() -> Any:
    looks, drawn = itertools.count(), itertools.count(1)
    return ids.pin(lambda: START_NS + next(looks) * 1_000_000, lambda: f"{next(drawn):012x}")
