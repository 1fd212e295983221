"""A session as a tree in plain text for a coding agent, within a budget.

Reads the records of those steps only whose content may fit. Invariant: what is left out is counted,
and the last lines say how to get it; failed steps and the steps above them are the last to go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.model.fields import PAYLOADS, SCORES
from sessiontrace.model.step_types import base_type
from sessiontrace.store.models import StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.text.format import amount
from sessiontrace.views.agent.facts import session_line, step_line
from sessiontrace.views.agent.hints import Hints
from sessiontrace.views.agent.page import BUDGET_MAX, Page, size_of
from sessiontrace.views.agent.recorded import Marks
from sessiontrace.views.step import field_lines
from sessiontrace.views.step_tree import StepNode, depth_first, nested

__all__ = ["session_text"]

_ERROR_WIDTH = 240
_INDENT_MAX = 20  # levels
_LEAST = 240  # bytes of a step's content that are worth reading its record
_GAP = 40  # bytes of a line that counts the steps left out
_CUT = 30  # bytes of the remark behind a block
_OWN_SHARE = 3  # the session's own content gets a third of the room
_TREE_SHARE = 2  # and its tree at most a half, where steps have content to print
_TREE_LEAST = 2_000  # bytes, or all there is


@attrs.define
class _Row:
    """A step's line in the tree, and its content where there is room for it."""

    node: StepNode
    number: int
    line: str
    content: list[str] = attrs.field(factory=list)

    @property
    def indent(self) -> str:
        return "  " * min(self.node.depth, _INDENT_MAX)


def session_text(
    store: Store, stored: StoredSession, tokens: int, hints: Hints, first_step: int = 1
) -> str:
    """The session's facts, its own content, its tree, and as much content of steps as fits.

    ``first_step``: begin with the step of this number (in order of start, from 1), in order, and
    leave out the session's own content.
    """
    marks, page = Marks(), Page(tokens)
    page.add(marks.warning)
    page.add(session_line(stored.summary, _ERROR_WIDTH if first_step == 1 else 40))
    rows, cuts = _rows(stored), 0
    if first_step > 1:
        rows = sorted((row for row in rows if row.number >= first_step), key=lambda row: row.number)
    else:
        content = _content(stored.record, marks, "", page.room // _OWN_SHARE)
        cuts += _is_cut(content)
        page.add(*content)
    visible = _visible(rows, page.room, in_order=first_step > 1)
    lines = [row.indent + row.line for row in visible]
    room = page.room - size_of(lines) - _GAP * _gaps(rows, visible)
    cuts += _fill(store, visible, marks, room)
    for piece in _pieces(rows, visible):
        page.add(*piece)
    omitted = len(rows) - len(visible) + stored.omitted
    return page.finish(*_notes(stored, rows, visible, omitted, cuts, tokens, hints))


def _rows(stored: StoredSession) -> list[_Row]:
    numbers = {event.event_id: at for at, event in enumerate(stored.events, 1)}
    return [
        _Row(node, number, step_line(node.event, number, node.orphan))
        for node in depth_first(nested(stored))
        for number in (numbers[node.event.event_id],)
    ]


def _visible(rows: Sequence[_Row], room: int, *, in_order: bool) -> list[_Row]:
    """The rows whose lines fit, in their order; the important ones are taken first."""
    sizes = {row.number: size_of([row.indent + row.line]) for row in rows}
    room = max(room // _TREE_SHARE, min(room, _TREE_LEAST))
    if sum(sizes.values()) <= room:
        return list(rows)
    important = set() if in_order else _failures(rows)
    numbers: set[int] = set()
    for row in sorted(rows, key=lambda row: row.number not in important):
        size = sizes[row.number] + _GAP
        if size > room:
            break
        room -= size
        numbers.add(row.number)
    return [row for row in rows if row.number in numbers]


def _failures(rows: Sequence[_Row]) -> set[int]:
    """The numbers of failed steps and of all steps above them."""
    numbers: set[int] = set()
    path: list[int] = []  # the numbers from the root to the row
    for row in rows:
        del path[row.node.depth :]
        path.append(row.number)
        if row.node.event.error is not None:
            numbers.update(path)
    return numbers


def _gaps(rows: Sequence[_Row], visible: Sequence[_Row]) -> int:
    """How many runs of rows are left out."""
    numbers = {row.number for row in visible}
    absent = [row.number not in numbers for row in rows]
    return sum(now and not before for before, now in zip([False, *absent], absent, strict=False))


def _fill(store: Store, rows: Sequence[_Row], marks: Marks, room: int) -> int:
    """Give rows their content, the most telling first; returns how many texts were cut."""
    cuts = 0
    queue = sorted(rows, key=_rank)
    while queue and room >= _LEAST:
        row = queue.pop(0)
        share = max(_LEAST, room // (len(queue) + 1))
        record = store.event(row.node.event.event_id) or {}
        row.content = _content(record, marks, f"{row.indent}   ", min(share, room))
        room -= size_of(row.content)
        cuts += _is_cut(row.content)
    return cuts + len(queue)


def _is_cut(content: Sequence[str]) -> bool:
    return bool(content) and content[-1].lstrip().startswith("[")


def _rank(row: _Row) -> tuple[int, int]:
    """Failed steps, then turns, then model calls, each the latest first."""
    event = row.node.event
    is_call = base_type(event.type) == "model"
    return 0 if event.error is not None else 1 if event.turn else 2 if is_call else 3, -row.number


def _content(record: Mapping[str, Any], marks: Marks, indent: str, room: int) -> list[str]:
    """Inputs, outputs and scores as a block of at most ``room`` bytes; [] where it has none."""
    short = {**record, "inputs": _newest(record.get("inputs"))}
    fields = {name: short.get(name) for name in (*PAYLOADS, *SCORES)}
    lines = list(field_lines(fields))
    overhead = size_of(marks.block([], indent)) + len(indent) + _CUT
    if not lines or overhead >= room:
        return []
    inside, characters = _fitted(lines, room - overhead, len(indent) + 1)
    if not inside:
        return []
    remark = [f"{indent}[+{characters:,} characters]"] if characters else []
    return [*marks.block(inside, indent), *remark]


def _fitted(lines: Sequence[str], room: int, margin: int) -> tuple[list[str], int]:
    """The lines that fit, and how many characters are left out.

    Inputs and outputs share the room by halves; one of them has what the other leaves.
    """
    at = next((i for i, line in enumerate(lines) if line == "outputs:"), len(lines))
    parts = [lines[:at], lines[at:]]
    total = size_of(lines) + margin * len(lines)
    if total <= room:
        return list(lines), 0
    half = room // 2
    sizes = [size_of(part) + margin * len(part) for part in parts]
    rooms = [max(half, room - sizes[1]), max(half, room - sizes[0])]
    heads: list[str] = []
    for part, limit in zip(parts, rooms, strict=True):
        heads += _head(part, limit, margin)
    return heads, sum(map(len, lines)) - sum(map(len, heads))


def _head(lines: Sequence[str], room: int, margin: int) -> Iterator[str]:
    for line in lines:
        size = size_of([line]) + margin
        if size > room:
            part = line.encode(errors="replace")[: max(0, room - margin - 1)]
            if text := part.decode(errors="ignore"):
                yield text
            return
        room -= size
        yield line


def _newest(inputs: Any) -> Any:
    """The inputs with the latest message of each list of messages, and how many are before it."""
    if not isinstance(inputs, Mapping):
        return inputs
    return {name: _newest_of(value) for name, value in inputs.items()}


def _newest_of(value: Any) -> Any:
    if not isinstance(value, list) or len(value) < 2:
        return value
    if not all(isinstance(item, Mapping) and "role" in item for item in value):
        return value
    return [f"({amount(len(value) - 1, 'earlier message')})", value[-1]]


def _pieces(rows: Sequence[_Row], visible: Sequence[_Row]) -> Iterator[list[str]]:
    """The lines of the tree, each block of content in one piece."""
    numbers = {row.number for row in visible}
    absent = 0
    for row in rows:
        if row.number not in numbers:
            absent += 1
            continue
        if absent:
            yield [f"… {amount(absent, 'step')} left out"]
            absent = 0
        yield [row.indent + row.line]
        yield row.content
    if absent:
        yield [f"… {amount(absent, 'step')} left out"]


def _notes(
    stored: StoredSession,
    rows: Sequence[_Row],
    visible: Sequence[_Row],
    omitted: int,
    cuts: int,
    tokens: int,
    hints: Hints,
) -> Iterator[str]:
    """What is left out, and how to get it."""
    if not omitted and not cuts:
        return
    gaps = [f"{amount(omitted, 'step')} left out"] if omitted else []
    gaps += [f"content of {amount(cuts, 'step')} cut or left out"] if cuts else []
    numbers = {row.number for row in visible}
    following = next((row.number for row in rows if row.number not in numbers), 0)
    larger = 0 if tokens >= BUDGET_MAX else min(BUDGET_MAX, tokens * 4)
    ways = hints.session(stored.summary.session_id, following if numbers else 0, larger)
    yield f"[Cut to {tokens:,} tokens: {', '.join(gaps)}. {ways}]"
