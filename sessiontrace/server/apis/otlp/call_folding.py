"""Model calls that arrived twice become one event: what to write for it.

Runs on the writer thread, over what is stored. The outer event gathers what the inner one knows
beyond it, and the inner one is marked as folded: it stays stored, is shown as a part of the outer
one only, and counts nothing. Invariant: what is written follows from the records that are stored,
so any order of arrival and any number of servers end at the same events; a later span that makes
two calls of one takes both marks back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from sessiontrace.model.record import Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp.same_call import (
    CallFacts,
    answered,
    facts_of,
    is_answered_inside,
    is_answered_later,
    is_same_below,
    is_same_beside,
    latest_start,
)
from sessiontrace.store.call_union import additions, ending
from sessiontrace.store.folding import apply_patch
from sessiontrace.store.gathered import CALL, FOLDED, GATHERED, part_key, resolve
from sessiontrace.store.models import StoredCall

__all__ = ["changes"]

Fields = dict[str, Any]

_MARK = part_key(FOLDED, 0, 0, "")
_AT_ONCE_MAX = 500  # calls at one time below one parent that a call is compared with
_OF_FOLDING = (CALL, FOLDED)


def changes(calls: Sequence[StoredCall]) -> list[Record]:
    """The late updates that make one event of each call; none where all is as it should be.

    ``calls``: as ``Store.related_calls`` returns them.
    """
    whole = {call.event_id: _whole(call) for call in calls}
    facts = {event_id: facts_of(event) for event_id, event in whole.items()}
    outer_of = _folds(calls, facts)
    parts: dict[str, Fields] = {call.event_id: {} for call in calls}
    for inner in outer_of:
        outer, key = _outermost(inner, outer_of), part_key(CALL, 0, facts[inner].start, inner)
        parts[outer][key] = additions(whole[outer], whole[inner])
        if _ends_later(facts[outer], facts[inner]) and whole[inner]["parent_id"] != outer:
            parts[outer][key] |= ending(whole[outer], whole[inner])
        if facts[inner].failed and not facts[outer].failed:
            parts[outer][key]["error"] = whole[inner]["error"]
    records: list[Record] = []
    for call in calls:
        target = parts[call.event_id]
        if call.event_id in outer_of:
            target[_MARK] = _outermost(call.event_id, outer_of)
        records += _patch(call, target)
    return records


def _ends_later(outer: CallFacts, inner: CallFacts) -> bool:
    """Whether the call that both are ends with the inner one, which was beside the outer one."""
    return inner.is_late or (outer.is_early and inner.end > outer.end)


def _folds(calls: Sequence[StoredCall], facts: Mapping[str, CallFacts]) -> dict[str, str]:
    """The calls that are the same as another one, with that one."""
    below: dict[str, list[CallFacts]] = {}
    for call in calls:
        if call.parent_id is not None:
            below.setdefault(call.parent_id, []).append(facts[call.event_id])
    outer_of: dict[str, str] = {}
    facts = {**facts}
    for parent, inner in below.items():
        facts |= _fold_late(inner, facts.get(parent), outer_of)
    for parent in _from_below(calls, below):
        whole = [facts[call.event_id] for call in below[parent] if call.event_id not in outer_of]
        outermost = _fold_beside(whole, outer_of)
        if len(outermost) == 1 and parent in facts and is_same_below(facts[parent], outermost[0]):
            outer_of[outermost[0].event_id] = parent
            facts[parent] = answered(facts[parent], outermost[0])
    circles = {inner for inner in outer_of if _outermost(inner, outer_of) in outer_of}
    return {inner: outer for inner, outer in outer_of.items() if inner not in circles}


def _from_below(calls: Sequence[StoredCall], parents: Iterable[str]) -> list[str]:
    """The parents, those with the most calls above them first."""
    parent_of = {call.event_id: call.parent_id for call in calls}

    def depth(event_id: str) -> int:
        above: set[str] = set()
        while event_id in parent_of and event_id not in above:
            above.add(event_id)
            event_id = parent_of[event_id] or ""
        return len(above)

    return sorted(parents, key=lambda parent: (-depth(parent), parent))


def _fold_late(
    calls: Sequence[CallFacts], parent: CallFacts | None, outer_of: dict[str, str]
) -> dict[str, CallFacts]:
    """Fold the records of answers into the calls above or before them; returns what these are."""
    whole: dict[str, CallFacts] = {}
    in_order = sorted(
        calls, key=lambda call: (call.start, not call.is_bare, call.end, call.event_id)
    )
    opened: list[CallFacts] = []  # without an answer so far
    for record in in_order:
        if not record.is_late:
            if record.is_bare:
                opened = [*opened[1 - _AT_ONCE_MAX :], record]
        elif parent is not None and is_answered_inside(parent, record):
            whole[parent.event_id] = parent = answered(parent, record)
            outer_of[record.event_id] = parent.event_id
        elif before := [call for call in opened if is_answered_later(call, record)]:
            call = max(before, key=lambda call: (call.end, call.event_id))
            opened.remove(call)
            end = max(call.end, record.end)
            whole[call.event_id] = attrs.evolve(answered(call, record), end=end)
            outer_of[record.event_id] = call.event_id
    return whole


def _fold_beside(calls: Sequence[CallFacts], outer_of: dict[str, str]) -> list[CallFacts]:
    """Fold those of the calls below one parent that are one call; returns the outer ones.

    An instrumentation records a call once. Of several outer calls, the shortest counts in which the
    inner one is.
    """
    outermost: list[CallFacts] = []
    going_on: list[CallFacts] = []  # of them
    scopes: dict[str, set[str | None]] = {}
    for call in sorted(calls, key=lambda call: (call.start, -call.end, call.event_id)):
        going_on = [outer for outer in going_on if latest_start(outer) >= call.start]
        going_on = going_on[:_AT_ONCE_MAX]
        same = [
            outer
            for outer in going_on
            if call.scope not in scopes[outer.event_id] and is_same_beside(outer, call)
        ]
        if not same:
            outermost.append(call)
            going_on.append(call)
            scopes[call.event_id] = {call.scope}
            continue
        outer = min(same, key=lambda outer: _distance(outer, call))
        outer_of[call.event_id] = outer.event_id
        scopes[outer.event_id].add(call.scope)
        union = answered(outer, call)
        for row in (outermost, going_on):
            row[row.index(outer)] = union
    return outermost


def _distance(outer: CallFacts, inner: CallFacts) -> tuple[bool, int, str]:
    return not outer.contains(inner), outer.end - outer.start, outer.event_id


def _outermost(event_id: str, outer_of: Mapping[str, str]) -> str:
    for _ in outer_of:
        if event_id not in outer_of:
            break
        event_id = outer_of[event_id]
    return event_id


def _whole(call: StoredCall) -> Fields:
    """The event with its late updates, but for what folding wrote; ids are those of the row."""
    own = {key: value for key, value in _parts(call).items() if not _is_of_folding(key)}
    patch = {name: value for name, value in call.patch.items() if name != GATHERED}
    event = resolve(apply_patch(dict(call.record), {**patch, GATHERED: own}))
    ids = {"event_id": call.event_id, "session_id": call.session_id, "parent_id": call.parent_id}
    return {**event, **ids}


def _parts(call: StoredCall) -> Fields:
    parts = call.patch.get(GATHERED)
    return parts if isinstance(parts, dict) else {}


def _is_of_folding(key: str) -> bool:
    return key.partition(" ")[0] in _OF_FOLDING


def _patch(call: StoredCall, target: Fields) -> Iterable[Record]:
    """The update that brings the folding's parts of an event to ``target``."""
    before = {k: v for k, v in _parts(call).items() if _is_of_folding(k) and v is not None}
    change = {key: value for key, value in target.items() if before.get(key) != value}
    change |= dict.fromkeys(before.keys() - target.keys())
    if change:
        yield record_builder.patch(call.event_id, call.session_id, {GATHERED: change})
