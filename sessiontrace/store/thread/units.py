"""The units that a thread is made of: the steps below each root of a session, in order.

Pure functions over the outline of a session, no thread owns them. A root is a turn, a step right
below the session, or a parent that never arrived, such as a trace whose root span was not sent.
Invariant: every step is in one unit, also where its parents are a circle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import attrs

from sessiontrace.store.models import EventSummary

__all__ = [
    "GROUPS",
    "Unit",
    "are_in_sequence",
    "calls_of",
    "is_repeated",
    "of_conversation",
    "units_below",
    "units_of",
    "whole_unit",
    "with_tools",
]

MODEL = "model"
GROUPS = frozenset({"chain", "agent"})
"""Types of steps whose inputs and outputs may be what a user and the application said."""
MOST_CALLS = 12
"""How many model calls of one unit are read: the first and the latest."""


@attrs.frozen
class Unit:
    """The steps below one root, each with its depth, 0 for the root itself.

    ``unit_id`` is the root's id; ``root`` is None where it is the session or never arrived.
    """

    unit_id: str
    root: EventSummary | None
    steps: Sequence[tuple[int, EventSummary]]

    @property
    def start(self) -> int:
        """The first start of a step, Unix ms."""
        return min((step.start_time for _, step in self.steps), default=0)

    @property
    def end(self) -> int:
        """The last end of a step, Unix ms."""
        return max((step.end_time or step.start_time for _, step in self.steps), default=0)

    @property
    def position(self) -> tuple[int, str]:
        """Where the unit is in the order of its session."""
        return self.start, self.unit_id

    @property
    def may_speak(self) -> bool:
        """Whether it can be an exchange, and not a tool or a guardrail beside one."""
        return self.root is None or self.root.type in GROUPS or self.has_call

    @property
    def has_call(self) -> bool:
        """Whether a model was called."""
        return any(step.type == MODEL for _, step in self.steps)


def units_of(events: Sequence[EventSummary]) -> list[Unit]:
    """The units of a session, in order of their start."""
    by_id = {event.event_id: event for event in events}
    places: dict[str, tuple[str, int]] = {}
    steps: dict[str, list[tuple[int, EventSummary]]] = {}
    for event in events:
        unit_id, depth = _place(event, by_id, places)
        steps.setdefault(unit_id, []).append((depth, event))
    units = [Unit(unit_id, by_id.get(unit_id), rows) for unit_id, rows in steps.items()]
    return sorted(units, key=lambda unit: unit.position)


def _place(
    event: EventSummary,
    by_id: dict[str, EventSummary],
    places: dict[str, tuple[str, int]],
) -> tuple[str, int]:
    """The unit of a step and its depth; fills ``places`` for it and all its parents."""
    path: list[str] = []
    current = event
    while current.event_id not in places:
        path.append(current.event_id)
        parent_id = current.parent_id or ""
        parent = None if current.turn else by_id.get(parent_id)
        if parent is None or parent.event_id in path:
            is_lost = not current.turn and parent_id not in ("", current.session_id)
            is_lost = is_lost and parent is None
            places[path.pop()] = (parent_id, 1) if is_lost else (current.event_id, 0)
            break
        current = parent
    for event_id in reversed(path):
        unit_id, depth = places[by_id[event_id].parent_id or ""]
        places[event_id] = unit_id, depth + 1
    return places[event.event_id]


def whole_unit(session_id: str, events: Sequence[EventSummary]) -> Unit:
    """All steps as one unit below the session itself."""
    units = units_of(events)
    steps = [(depth + 1, step) for unit in units for depth, step in unit.steps]
    return Unit(session_id, None, sorted(steps, key=lambda row: row[1].start_time))


def of_conversation(units: Sequence[Unit]) -> list[Unit]:
    """The units of a conversation: steps outside of its turns belong to the turn before them."""
    merged: list[Unit] = []
    for unit in units:
        is_turn = unit.root is not None and unit.root.turn
        if merged and not is_turn:
            merged[-1] = joined(merged[-1], unit)
        elif merged and merged[-1].root is not None and not merged[-1].root.turn:
            merged[-1] = joined(unit, merged[-1])
        else:
            merged.append(unit)
    return merged


def joined(unit: Unit, other: Unit) -> Unit:
    """A unit with the steps of another one, which are one level below its root."""
    steps = [*unit.steps, *((depth + 1, step) for depth, step in other.steps)]
    return attrs.evolve(unit, steps=sorted(steps, key=lambda row: row[1].start_time))


def with_tools(units: Sequence[Unit]) -> list[Unit]:
    """The units with a model, each with the roots that are tools and nearest to it in time."""
    if not any(unit.has_call for unit in units):
        return list(units)
    merged: list[Unit] = []
    waiting: list[Unit] = []  # tools behind the last unit, and before the next
    for unit in units:
        if not unit.may_speak:
            waiting.append(unit)
            continue
        for tool in waiting:
            if merged and tool.start - merged[-1].end <= unit.start - tool.end:
                merged[-1] = joined(merged[-1], tool)
            else:
                unit = joined(unit, tool)
        waiting = []
        merged.append(unit)
    for tool in waiting:
        merged[-1] = joined(merged[-1], tool)
    return merged


def units_below(unit: Unit) -> list[Unit]:
    """The steps below a root as units of their own; the root itself belongs to the first."""
    root = unit.root
    if root is None or root.type not in GROUPS:
        return []
    session_id, root_id = root.session_id, root.event_id
    steps = [step for _, step in unit.steps if step is not root]
    units = units_of(
        [
            attrs.evolve(step, parent_id=session_id) if step.parent_id == root_id else step
            for step in steps
        ]
    )
    return [joined(units[0], Unit(root_id, root, [(0, root)])), *units[1:]] if units else []


def is_repeated(units: Sequence[Unit]) -> bool:
    """Whether most units look like exchanges of one chat: one name, one after another."""
    roots = [unit.root for unit in units if unit.root is not None]
    if len(roots) < 2:
        return False
    names = Counter(root.name for root in roots)
    return are_in_sequence(units) and max(names.values()) * 2 > len(roots)


def are_in_sequence(units: Sequence[Unit]) -> bool:
    """Whether each unit begins after the end of the one before it."""
    return all(before.end <= unit.start for before, unit in pairwise(units))


def calls_of(unit: Unit) -> list[EventSummary]:
    """The model calls nearest to the root, in order: the chat of the unit, without sub-agents."""
    depths = [depth for depth, step in unit.steps if step.type == MODEL]
    if not depths:
        return []
    nearest = min(depths)
    calls = [step for depth, step in unit.steps if step.type == MODEL and depth == nearest]
    return [calls[0], *calls[1:][-(MOST_CALLS - 1) :]]
