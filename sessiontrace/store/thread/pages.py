"""A page of a session's thread, read from any store.

Runs on the caller's thread; reads the outline of the session and, of the page's turns, the records
that say something. Invariant: what a page costs depends on its turns, not on the turns before it.

A session is a conversation if it has turns, or if its roots look like the exchanges of one chat: a
user says something in several, and they have one name and follow one another, or one goes on from
the chat of another. Where the session has one root, which says nothing, the steps below it may be
the exchanges. A session that says nothing itself and asks several agents one after another is not a
chat, but each of them is a turn. Any other session is one turn, the session itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.store.models import EventSummary, StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.store.thread.history import History
from sessiontrace.store.thread.speech import speech_of
from sessiontrace.store.thread.turns import (
    Turn,
    calls_needed,
    speakers_of,
    speech_in,
    turn_of,
)
from sessiontrace.store.thread.units import (
    Unit,
    are_in_sequence,
    is_repeated,
    of_conversation,
    units_below,
    units_of,
    whole_unit,
    with_tools,
)

__all__ = ["Position", "ThreadPage", "thread_page"]

Position = tuple[int, str]
"""Where a turn is in its session: its start in Unix ms, and its root's id."""

_MOST_BYTES = 4 << 20  # of the records of a page
_SEEDS = 3  # turns before a page, whose chats its first turn may go on from
_PROBED = 3  # first and last roots that are read to see whether they are exchanges


@attrs.frozen
class ThreadPage:
    """Some turns of a thread, in order.

    ``is_conversation``: the session has turns. ``next``: the ``after`` of the following page.
    """

    turns: Sequence[Turn]
    is_conversation: bool
    next: Position | None


def thread_page(
    store: Store, stored: StoredSession, after: Position | None = None, limit: int = 50
) -> ThreadPage:
    """At most ``limit`` turns after a position; ``stored`` is the session with its outline."""
    units, has_turns = _units(store, stored)
    begin = 0 if after is None else sum(unit.position <= after for unit in units)
    seeds = units[max(0, begin - _SEEDS) : begin]
    page = units[begin : begin + limit]
    records, complete = _records(store, stored, [*seeds, *page], len(seeds))
    history = History()
    for unit in seeds:
        turn_of(unit, records, history)
    turns: list[Turn] = []
    firsts: list[int] = []  # of the units of each turn
    end = begin + complete
    for index, unit in enumerate(units[begin:end], begin):
        turn = turn_of(unit, records, history)
        if unit.unit_id == stored.summary.session_id:
            turn = _of_session(turn, stored)
        if turns and not _is_turn(unit) and not turn.opens:
            turns[-1] = turns[-1].with_steps_of(turn)
        else:
            turns.append(turn)
            firsts.append(index)
    if end < len(units) and len(turns) > 1 and not _is_turn(units[firsts[-1]]):
        turns.pop()  # what follows may still belong to it: it begins the next page
        end = firsts.pop()
    return ThreadPage(turns, has_turns, units[end - 1].position if end < len(units) else None)


def _is_turn(unit: Unit) -> bool:
    return unit.root is not None and unit.root.turn


def _session_record(stored: StoredSession) -> Mapping[str, Any]:
    return {**stored.record, "event_type": "session"}


def _of_session(turn: Turn, stored: StoredSession) -> Turn:
    summary = stored.summary
    return attrs.evolve(
        turn,
        name=summary.name or "",
        start_time=summary.start_time,
        end_time=summary.end_time,
        duration=summary.duration,
        status=summary.status,
        error=summary.error,
    )


def _units(store: Store, stored: StoredSession) -> tuple[list[Unit], bool]:
    """The units of the thread, and whether the session is a conversation."""
    if any(event.turn for event in stored.events):
        return of_conversation(units_of(stored.events)), True
    roots = units_of(stored.events)
    units = with_tools(roots if len(roots) > 1 else _below(store, stored, roots))
    spoken = [unit for unit in units if unit.may_speak]
    opening = _opening(store, stored, spoken)
    if len(opening) > 1:
        if any(turn.carried for turn in opening[1:]) or is_repeated(spoken):
            return units, True
        if are_in_sequence(spoken) and not speech_of(_session_record(stored)).is_given:
            return units, False
    return [whole_unit(stored.summary.session_id, stored.events)], False


def _below(store: Store, stored: StoredSession, roots: Sequence[Unit]) -> list[Unit]:
    """The units below the only root, where the root itself says nothing."""
    steps = [unit.root for unit in roots if unit.root is not None]
    records = store.records(stored.summary.session_id, steps, _MOST_BYTES)
    is_silent = not any(speech_of(record).is_given for record in records.values())
    return [below for unit in roots for below in units_below(unit)] if is_silent else []


def _opening(store: Store, stored: StoredSession, spoken: Sequence[Unit]) -> list[Turn]:
    """The first and last units in which a user speaks; none if one of them is unreadable."""
    probed = [*spoken[:_PROBED], *spoken[_PROBED:][-_PROBED:]]
    if len(probed) < 2:
        return []
    records, complete = _records(store, stored, probed, 0)
    probed = probed[:complete]
    if not all(unit.has_call or speech_in(unit, records)[1].is_named for unit in probed):
        return []
    history = History()
    turns = [turn_of(unit, records, history) for unit in probed]
    return [turn for turn in turns if turn.opens]


def _records(
    store: Store, stored: StoredSession, units: Sequence[Unit], seeds: int
) -> tuple[Mapping[str, Mapping[str, Any]], int]:
    """The records that turns of these units read, and how many units after the seeds have all."""
    session_id = stored.summary.session_id
    speakers = {unit.unit_id: speakers_of(unit) for unit in units}
    wanted_steps = [step for unit in units for step in speakers[unit.unit_id]]
    records = dict(store.records(session_id, wanted_steps, _MOST_BYTES))
    records[session_id] = _session_record(stored)
    needed: dict[str, list[EventSummary]] = {}
    for unit in units:
        _, speech = speech_in(unit, records)
        needed[unit.unit_id] = calls_needed(unit, speech)
    absent = [step for steps in needed.values() for step in steps if step.event_id not in records]
    records |= store.records(session_id, absent, _MOST_BYTES)
    complete = 0
    for unit in units[seeds:]:
        steps = [*speakers[unit.unit_id], *needed[unit.unit_id]]
        if complete and not all(step.event_id in records for step in steps):
            break
        complete += 1
    return records, complete
