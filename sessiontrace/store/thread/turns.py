"""One turn of a thread: its messages, its tools, and what it took.

Pure functions over a unit and the records of some of its steps, no thread owns them. Invariant:
each message is in one turn, and a turn without any readable message shows its inputs and outputs
as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.model.step_types import base_type
from sessiontrace.store import summary_fields
from sessiontrace.store.models import EventSummary
from sessiontrace.store.thread.history import History, name_of_call
from sessiontrace.store.thread.speech import Message, Speech, speech_of
from sessiontrace.store.thread.units import GROUPS, Unit, calls_of
from sessiontrace.wire.dialects.chat_shapes import text_of

__all__ = ["Line", "Turn", "calls_needed", "speakers_of", "turn_of"]

Records = Mapping[str, Mapping[str, Any]]

_SPEAKERS = 3  # steps below a silent root that are read for it
_MOST_TOOLS = 200
_SPEAKING = frozenset({*GROUPS, "session"})
_USER = "user"


@attrs.frozen
class Line:
    """One message: its ``role``, ``text`` and ``step``, the event that has the whole of it.

    ``parts``: of a content that is not all text, its other parts, such as pictures. ``data``:
    inputs or outputs that are not a message. ``earlier``: it is of before the session.
    """

    role: str
    text: str
    step: str
    parts: Sequence[Any] = ()
    reasoning: str = ""
    data: Any = None
    earlier: bool = False


@attrs.frozen
class Tool:
    """One call of a tool; ``event_id`` is None where only a message shows it."""

    name: str
    event_id: str | None = None
    duration: float | None = None
    error: str | None = None
    arguments: Any = None
    result: Any = None


@attrs.frozen
class Turn:
    """A turn: ``lines`` in order, its tools, and sums over its steps; units as in the summaries.

    ``turn_id`` is the root's event id. ``omitted``: earlier messages beyond those in ``lines``.
    ``steps`` counts those below a turn. ``error``: the root's own; ``errors`` counts the failed
    steps, ``failed`` names the first. ``carried``: it goes on from a chat of a turn before it.
    """

    turn_id: str
    name: str
    start_time: int
    end_time: int | None
    duration: float | None
    status: str
    error: str | None
    errors: int
    failed: str | None
    steps: int
    tokens: int
    cost: float
    unpriced: int
    scores: Mapping[str, float]
    lines: Sequence[Line]
    tools: Sequence[Tool]
    omitted: int = 0
    carried: bool = False

    @property
    def opens(self) -> bool:
        """Whether a user says something in it."""
        return any(
            line.role == _USER and not line.earlier and line.data is None for line in self.lines
        )

    def with_steps_of(self, other: Turn) -> Turn:
        """The turn with all that a later one, which no user opens, adds to it."""
        end = max(self.end_time or 0, other.end_time or 0) or None
        lasted = None if end is None else float(end - self.start_time)
        return attrs.evolve(
            self,
            end_time=end,
            duration=lasted,
            errors=self.errors + other.errors,
            failed=self.failed or other.failed,
            steps=self.steps + other.steps,
            tokens=self.tokens + other.tokens,
            cost=self.cost + other.cost,
            unpriced=self.unpriced + other.unpriced,
            scores={**self.scores, **other.scores},
            lines=[*self.lines, *(line for line in other.lines if line.data is None)],
            tools=_without_doubles([*self.tools, *other.tools]),
            carried=self.carried or other.carried,
        )


def speakers_of(unit: Unit) -> list[EventSummary]:
    """The steps whose inputs and outputs are the turn's: the root, and chains near to it."""
    chains = sorted(
        (row for row in unit.steps if row[1].type in GROUPS and row[0]), key=lambda row: row[0]
    )
    roots = [] if unit.root is None else [unit.root]
    return [*roots, *(step for _, step in chains[:_SPEAKERS])]


def calls_needed(unit: Unit, speech: Speech) -> list[EventSummary]:
    """The model calls to read for what the turn's own inputs and outputs do not say."""
    if speech.is_given and speech.is_answered:
        return []
    calls = calls_of(unit)
    return calls[:1] if speech.is_answered else calls


def speech_in(unit: Unit, records: Records) -> tuple[str, Speech]:
    """The speech of the first speaker that one can read, and that step's id."""
    first: tuple[str, Speech] | None = None
    ids = [unit.unit_id, *(step.event_id for step in speakers_of(unit))]
    for event_id in dict.fromkeys(ids):
        record = records.get(event_id)
        if record is None or record.get("event_type") not in _SPEAKING:
            continue
        speech = speech_of(record)
        if speech.is_given and speech.is_answered:
            return event_id, speech
        if first is None and (speech.is_given or speech.is_answered):
            first = event_id, speech
    return first or (unit.unit_id, Speech())


def turn_of(unit: Unit, records: Records, history: History) -> Turn:
    """The turn that a unit is, after those before it, which ``history`` holds."""
    talk = _Talk(unit, history)
    event_id, speech = speech_in(unit, records)
    talk.hear(event_id, speech, records)
    lines = talk.lines or _unread(unit, records)
    root = unit.root
    steps = [step for _, step in unit.steps]
    failed = [step for step in steps if step.error is not None]
    start, end, duration = _times(unit)
    scores: dict[str, int] = {}
    for own in (records[name] for name in (unit.unit_id, *talk.calls) if name in records):
        scores = {**summary_fields.scores_nano(dict(own)), **scores}
    return Turn(
        turn_id=unit.unit_id,
        name="" if root is None else root.name,
        start_time=start,
        end_time=end,
        duration=duration,
        status="ended" if root is None else root.status,
        error=None if root is None else root.error,
        errors=len(failed),
        failed=failed[0].event_id if failed else None,
        steps=len(steps) - (root is not None and root.turn),
        tokens=sum(step.tokens for step in steps),
        cost=sum(step.cost for step in steps),
        unpriced=sum(step.unpriced for step in steps),
        scores={name: nano / 1e9 for name, nano in sorted(scores.items())},
        lines=lines,
        tools=_tools(unit, talk)[:_MOST_TOOLS],
        omitted=talk.omitted,
        carried=talk.carried,
    )


def _times(unit: Unit) -> tuple[int, int | None, float | None]:
    """Start, end and duration: a turn's own, else from its first step to its last."""
    root = unit.root
    if root is not None and (root.turn or len(unit.steps) == 1):
        return root.start_time, root.end_time, root.duration
    return unit.start, unit.end, float(unit.end - unit.start)


class _Talk:
    """The messages of one turn, in order."""

    def __init__(self, unit: Unit, history: History) -> None:
        self.lines: list[Line] = []
        self.called: list[Message] = []  # messages that call tools, and the results
        self.calls: list[str] = []
        self.omitted = 0
        self.carried = False
        self._unit = unit
        self._history = history

    def hear(self, event_id: str, speech: Speech, records: Records) -> None:
        """Add what the turn's own step says, and from its model calls what it does not say."""
        if speech.chat:
            self._add_chat(event_id, speech.chat, speech.system, users=True)
        if speech.question and not self._said(_USER, speech.question):
            self._history.ask(speech.question)
            self._say(event_id, {"role": _USER, "content": speech.question})
        calls = [step for step in calls_needed(self._unit, speech) if step.event_id in records]
        for call in calls:
            self._add_call(call.event_id, records[call.event_id], speech)
        if speech.whole_chat:
            self._add_chat(event_id, speech.whole_chat, None, users=True, ends=True)
        elif speech.answers:
            self._history.answer(speech.answers)
            for message in speech.answers:
                self._say(event_id, message)

    def _add_call(self, call_id: str, record: Mapping[str, Any], speech: Speech) -> None:
        own = speech_of(record)
        self.calls.append(call_id)
        users = not speech.is_given
        if own.chat:
            self._add_chat(call_id, own.chat, own.system, users=users)
        if own.question and users:
            self._history.ask(own.question)
            self._say(call_id, {"role": _USER, "content": own.question})
        if own.chat and users and not any(line.role == _USER for line in self.lines):
            self._repeat(call_id, own.chat)
        answers = own.answers
        if own.whole_chat:
            self._add_chat(call_id, own.whole_chat, None, users=users, ends=True)
        self._history.answer(answers)
        if not speech.is_answered:
            for message in answers:
                self._say(call_id, message)

    def _add_chat(
        self, step: str, chat: list[Any], system: str | None, *, users: bool, ends: bool = False
    ) -> None:
        added = self._history.add(chat, system, ends=ends)
        self.omitted += added.omitted
        self.carried = self.carried or added.continues
        if added.system is not None:
            is_first = all(line.role == _USER for line in self.lines)
            at = 0 if is_first else len(self.lines)
            self.lines.insert(at, Line("system", added.system, step))
        for message in added.earlier if users else ():
            self._say(step, message, earlier=True)
        for message in added.messages:
            if users or message["role"] != _USER:
                self._say(step, message)

    def _repeat(self, step: str, chat: list[Any]) -> None:
        """Say a turn's question again where the call before it, which failed, had the same."""
        if self._unit.root is None or not self._unit.root.turn:
            return
        last = History().add(chat[-1:]).messages
        for message in last:
            if message["role"] == _USER:
                self._say(step, message)

    def _said(self, role: str, text: str) -> bool:
        return any(line.role == role and line.text.strip() == text.strip() for line in self.lines)

    def _say(self, step: str, message: Message, *, earlier: bool = False) -> None:
        role = str(message.get("role"))
        if not earlier and (message.get("tool_calls") or role == "tool"):
            self.called.append(message)
        if role == "tool":
            return
        text, parts = _content(message.get("content"))
        reasoning = message.get("reasoning")
        reasoning = reasoning if isinstance(reasoning, str) else ""
        if not text and isinstance(message.get("refusal"), str):
            text = message["refusal"]
        if role == _USER and self._said(role, text) and not parts:
            return  # a call of the same turn has the same question
        if text.strip() or parts or reasoning:
            self.lines.append(Line(role, text, step, parts, reasoning, earlier=earlier))


def _content(content: Any) -> tuple[str, list[Any]]:
    """The text of a message's content, and its other parts."""
    if content is None:
        return "", []
    text = text_of(content)
    if text is not None:
        return text, []
    if not isinstance(content, list):
        return "", [content]
    texts = [text_of(part) for part in content]
    parts = [part for part, text in zip(content, texts, strict=True) if text is None]
    return "\n".join(text for text in texts if text is not None), parts


def _unread(unit: Unit, records: Records) -> list[Line]:
    """A turn's inputs and outputs as they are."""
    record = records.get(unit.unit_id, {})
    inputs, outputs = record.get("inputs"), record.get("outputs")
    lines = [Line(_USER, "", unit.unit_id, data=inputs)] if inputs else []
    return [*lines, Line("assistant", "", unit.unit_id, data=outputs)] if outputs else lines


def _tools(unit: Unit, talk: _Talk) -> list[Tool]:
    """The steps of tools, and the calls in messages that have no step."""
    steps = [
        Tool(step.name, step.event_id, step.duration, step.error)
        for _, step in unit.steps
        if base_type(step.type) == "tool"
    ]
    results = {
        call_id: message.get("content")
        for message in talk.called
        if message.get("role") == "tool" and isinstance(call_id := message.get("tool_call_id"), str)
    }
    calls = [
        _called(call, results)
        for message in talk.called
        if isinstance(own := message.get("tool_calls"), list)
        for call in own
    ]
    return _without_doubles([*steps, *calls])


def _called(call: Any, results: Mapping[str, Any]) -> Tool:
    """A tool's call in a message, with its result."""
    call = call if isinstance(call, dict) else {}
    function = call.get("function")
    arguments = function.get("arguments") if isinstance(function, dict) else None
    call_id = call.get("id")
    result = results.get(call_id) if isinstance(call_id, str) else None
    return Tool(name_of_call(call), arguments=arguments, result=result)


def _without_doubles(tools: Sequence[Tool]) -> list[Tool]:
    """The tools without the calls in messages that a step stands for."""
    names = [tool.name for tool in tools if tool.event_id is not None]
    distinct: list[Tool] = []
    for tool in tools:
        same = (name for name in names if name == tool.name or name.endswith(f" {tool.name}"))
        if tool.event_id is None and (step := next(same, None)) is not None:
            names.remove(step)
        else:
            distinct.append(tool)
    return distinct
