"""Which session each trace belongs to, decided by the whole trace and amended by later requests.

A span may name its session (``session.id`` and its like): such spans go there. All others follow
their trace: to the session that any of its spans names, else the trace is the session. Which span
names the session for the trace does not depend on the order of arrival, so a request may find that
an earlier one decided otherwise, and moves what followed the trace.

``plan`` and ``settle`` run on the writer thread, ``settle`` once the records of ``plan`` are on the
disk. Invariant: two servers that take parts of one trace at the same time reach the same session.
Both first write what they have, then read what the other has: one of them at least sees both.
Nothing is kept in memory between requests: the state of a trace is in the store, in the gathered
parts of the session whose id is the trace's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sessiontrace.model.record import Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.otlp import call_folding
from sessiontrace.server.apis.otlp.assembled.followers import (
    added,
    parts_of_followers,
    remade,
    split,
)
from sessiontrace.server.apis.otlp.assembled.parts import Order, Parts
from sessiontrace.server.apis.otlp.assembled.trace import (
    LATE,
    ORPHANS,
    OURS,
    RATED,
    ROOT,
    SCOPE,
    Claim,
    Place,
    Trace,
    claimed_sessions,
    elected_session,
    refer,
)
from sessiontrace.server.apis.otlp.event_layout import derived_id
from sessiontrace.server.apis.otlp.span_ids import trace_session
from sessiontrace.server.store_changes import Change, Move
from sessiontrace.store.folding import DecodedRecord, in_session
from sessiontrace.store.gathered import (
    ERROR,
    FOLDED,
    GATHERED,
    RATING,
    SESSION,
    first_part,
    part_key,
)
from sessiontrace.store.protocol import Store
from sessiontrace.store.rehoming import rehomed
from sessiontrace.store.related_calls import LATE_MS

__all__ = ["AnyRecord", "Assembly"]

AnyRecord = Record | DecodedRecord

_SCOPES_MAX = 16


class Assembly:
    """The records of one request, and what they say of their sessions.

    ``starts``: of sessions, by id, to be written where the store has none yet.
    """

    def __init__(self) -> None:
        self._records: list[tuple[AnyRecord, Trace | None]] = []
        self._traces: dict[str, Trace] = {}
        self._sessions: dict[str, Parts] = {}
        self._calls: dict[str, set[str]] = {}
        self.starts: dict[str, Record] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._records and not any(trace.ratings for trace in self._traces.values())

    @property
    def records(self) -> list[AnyRecord]:
        """The records as they were added, those of followers in the sessions of their traces."""
        return [record for record, _ in self._records]

    @property
    def touches(self) -> frozenset[str]:
        """The sessions whose state ``plan`` reads."""
        return frozenset((*self._sessions, *(trace.session_id for trace in self._traces.values())))

    # -- what the request says --------------------------------------------------------------

    def place(self, trace_id: str | None, claim: Claim | None, is_root: bool) -> Place:
        """The place of a span or log record; one of ``trace_id`` and ``claim`` is not None."""
        trace = None
        if trace_id is not None:
            trace = self._traces.get(trace_id)
            if trace is None:
                trace = self._traces[trace_id] = Trace(trace_session(trace_id))
        if claim is not None and trace is not None:
            order = (2 * claim.rank + (not is_root), 0, claim.session_id)
            trace.claims.offer(SESSION, order, [claim.session_id, claim.reference])
        if trace is not None and (claim is None or not claim.is_own):
            return Place(trace.session_id, trace.parts, trace)
        assert claim is not None
        parts = self._sessions.get(claim.session_id)
        if parts is None:
            parts = self._sessions[claim.session_id] = Parts()
            refer(parts, claim.session_id, claim.reference)
        return Place(claim.session_id, parts, None)

    def add(self, record: AnyRecord, place: Place) -> None:
        """Write a record that was built for this place."""
        self._records.append((record, place.trace))

    def hide(self, event_id: str, parent_id: str, place: Place) -> None:
        """Show an event as a part of the one above it, or of its session."""
        if place.trace is None:
            self._records.append((_hidden(event_id, place.session_id, parent_id), None))
        else:
            place.trace.hidden[event_id] = parent_id

    def add_call(self, trace_id: str, event_id: str, scope: str | None = None) -> None:
        """An event that may be a model call, or say more of one; two events may be one call.

        ``scope``: the instrumentation that recorded it.
        """
        self._calls.setdefault(trace_id, set()).add(event_id)
        if scope is not None and (trace := self._traces.get(trace_id)) is not None:
            trace.facts.offer(f"{SCOPE}{scope.replace(' ', '_')[:100]}", (0, 0, ""), True)

    def add_late(self, trace_id: str, place: Place) -> None:
        """Two records of one call may be at different times, in a trace or session.

        One of them says what the other was answered, or ended when its stream began.
        """
        for parts in (self._traces[trace_id].facts, place.parts):
            parts.offer(LATE, (0, 0, ""), True)

    def add_root(self, trace_id: str, start_ns: int, event_id: str) -> None:
        """The event at the root of a trace, which has the trace's scores."""
        if (trace := self._traces.get(trace_id)) is not None:
            trace.facts.offer(ROOT, (0, start_ns, event_id), event_id)

    def add_orphan(self, trace_id: str, parent_span: str) -> None:
        """A span whose parent is not in the request, and may be an event of our SDK."""
        trace = self._traces[trace_id]
        trace.orphans[derived_id(trace_id, parent_span)] = f"{parent_span[:4]}-{parent_span[4:]}"
        trace.facts.offer(ORPHANS, (0, 0, ""), True)

    def add_own(self, trace_id: str, span_id: str, event_id: str) -> None:
        """An event of our SDK, which spans of others may have as parent by its span's id."""
        trace = self._traces[trace_id]
        trace.own[derived_id(trace_id, span_id)] = event_id
        trace.facts.offer(OURS, (0, 0, ""), True)

    def rate(self, trace_id: str, order: Order, changes: Mapping[str, Any]) -> None:
        """A score of a trace: of its session if it is one, else of its root.

        ``order``: where it is among other scores of the trace. ``changes``: as of a late update.
        """
        self._traces[trace_id].ratings[part_key(RATING, *order)] = dict(changes)

    def start(self, session_id: str, record: Record) -> None:
        """Write the start of a session, unless the store has it or the request began with one."""
        self.starts.setdefault(session_id, record)

    # -- on the writer thread ---------------------------------------------------------------

    def plan(self, store: Store) -> Change:
        """The records in the sessions of their traces, as far as the store knows them."""
        traces = self._traces.values()
        read = self.touches
        stored = dict(store.gathered(read))
        for trace in traces:
            parts = stored.get(trace.session_id, {})
            fresh = trace.claims.improvements(parts)
            trace.claimed = bool(fresh)
            trace.target, trace.reference = elected_session({**parts, **fresh}, trace.session_id)
        if unread := {trace.target for trace in traces} - read:
            stored |= store.gathered(unread)
        records = [_placed(record, trace) for record, trace in self._records]
        starts = record_builder.new_sessions(store, self.starts) if self.starts else ()
        for trace in traces:
            for event_id, parent in trace.hidden.items():
                parent = trace.target if parent == trace.session_id else parent
                records.append(_hidden(event_id, trace.target, parent))
        return Change([*starts, *records, *self._patches(stored)])

    def _patches(self, stored: Mapping[str, Mapping[str, Any]]) -> Iterable[Record]:
        for trace in self._traces.values():
            parts = stored.get(trace.session_id, {})
            fresh = trace.claims.improvements(parts) | trace.parts.improvements(parts)
            if len(_scopes(parts)) < _SCOPES_MAX:
                fresh |= trace.facts.improvements(parts)
            fresh |= {k: v for k, v in trace.ratings.items() if parts.get(k) != v}
            yield from _patch(trace.session_id, fresh)
        yield from self._missing(stored)

    def settle(self, store: Store) -> tuple[Change, bool]:
        """Move what followed a trace to another session than the one that counts now.

        Once all is in place, makes one event of each call that arrived twice. Also returns whether
        to settle again: another server may have written in between.
        """
        stored = dict(store.gathered(self.touches))
        change = self._moved(store, stored)
        if not (change.records or change.moves):
            adopted = self._adopted(store, stored)
            change = Change([*self._rated(stored), *adopted, *self._folded(store, stored)])
        return change, bool(change.records or change.moves)

    def _rated(self, stored: Mapping[str, Mapping[str, Any]]) -> Iterable[Record]:
        """Give the scores of a trace to what it is shown as now."""
        for trace in self._traces.values():
            alias = trace.session_id
            parts = stored.get(alias, {})
            target, _ = elected_session(parts, alias)
            root = first_part(parts, ROOT)
            owner = None if target == alias else root[1] if root is not None else target
            for key, value in parts.items():
                mark = f"{RATED}{key[len(RATING) + 1 :]}"
                if not key.startswith(f"{RATING} ") or parts.get(mark) == owner:
                    continue
                if (before := parts.get(mark)) is not None:
                    of_root = root is not None and before == root[1]
                    yield record_builder.patch(
                        before, target if of_root else before, {GATHERED: {key: None}}
                    )
                if owner is not None:
                    yield record_builder.patch(owner, target, {GATHERED: {key: value}})
                yield from _patch(alias, {mark: owner})

    def _adopted(self, store: Store, stored: Mapping[str, Mapping[str, Any]]) -> Iterable[Record]:
        """Put spans of others below the events of our SDK that they name as their parents."""
        for trace in self._traces.values():
            if not (trace.orphans or trace.own):
                continue
            parts = stored.get(trace.session_id, {})
            session_id, _ = elected_session(parts, trace.session_id)
            parents = dict(trace.own) if first_part(parts, ORPHANS) else {}
            if trace.orphans and (first_part(parts, OURS) or store.sessions_known({session_id})):
                own = store.ending_with(session_id, trace.orphans.values())
                own = {session_id[19:]: session_id, **own}
                parents |= {alias: own[end] for alias, end in trace.orphans.items() if end in own}
            parents = {alias: own for alias, own in parents.items() if alias != own}
            below = store.children(session_id, parents) if parents else {}
            for event_id, alias in below.items():
                yield record_builder.patch(event_id, session_id, {"parent_id": parents[alias]})

    def _folded(self, store: Store, stored: Mapping[str, Mapping[str, Any]]) -> list[Record]:
        """One event of each call that several instrumentations recorded."""
        sessions = {trace.target for trace in self._traces.values()} | self._sessions.keys()
        alike: dict[int | None, list[set[str]]] = {}  # by how near to each other two may be one
        for trace_id, event_ids in self._calls.items():
            trace = self._traces[trace_id]
            parts, of_session = stored.get(trace.session_id, {}), stored.get(trace.target, {})
            alike.setdefault(_nearness(parts, of_session), []).append(event_ids)
        records: list[Record] = []
        for beside, traces in alike.items():
            together = store.related_calls(sessions, set().union(*traces), beside=beside)
            several = [together]
            if together is None:  # too many belong together in one of the traces
                several = [
                    store.related_calls(sessions, event_ids, beside=beside) for event_ids in traces
                ]
            for calls in several:
                records += call_folding.changes(calls) if calls else ()
        return records

    def _moved(self, store: Store, stored: dict[str, Mapping[str, Any]]) -> Change:
        current = {
            trace.session_id: elected_session(stored.get(trace.session_id, {}), trace.session_id)
            for trace in self._traces.values()
        }
        strays = [alias for alias, (target, _) in current.items() if target != alias]
        steps = store.steps_of(strays) if strays else {}
        for trace in self._traces.values():
            trace.is_settled = trace.target == current[trace.session_id][0]
        if unread := {trace.target for trace in self._traces.values()} - self.touches:
            stored |= store.gathered(unread)
        records = list(self._missing(stored))
        moves: list[Move] = []
        changed: list[tuple[str, Trace, set[str]]] = []
        for trace_id, trace in self._traces.items():
            alias = trace.session_id
            target, _ = current[alias]
            if target != alias and alias in steps:
                moves.append(Move(alias, target, steps[alias]))
            if trace.claimed or trace.target != target or alias in steps:
                others = claimed_sessions(stored.get(alias, {})) - {target, alias}
                changed.append((trace_id, trace, others))
        touched = {current[trace.session_id][0] for _, trace, _ in changed}
        in_place = store.gathered(touched.union(*(others for _, _, others in changed)))
        for trace_id, trace, others in changed:
            target, reference = current[trace.session_id]
            said = parts_of_followers(stored.get(trace.session_id, {}))
            for source in others:
                followers, of_source = split(store, source, trace_id)
                if followers:
                    moves.append(Move(source, target, followers))
                change = remade(in_place.get(source, {}), of_source, said)
                records += _patch(source, change)
            if target != trace.session_id:
                of_target = Parts()
                refer(of_target, target, reference)
                after = in_place.get(target, {})
                records += _patch(target, {**added(after, said), **of_target.improvements(after)})
        return Change(records, moves=moves)

    def _missing(self, stored: Mapping[str, Mapping[str, Any]]) -> Iterable[Record]:
        """What the request says of sessions and the store does not have."""
        for session_id, offered in self._offers().items():
            yield from _patch(session_id, offered.improvements(stored.get(session_id, {})))

    def _offers(self) -> dict[str, Parts]:
        """What the request says of each session, followers of the session of their trace."""
        offers: dict[str, Parts] = {}
        for session_id, parts in self._sessions.items():
            offers.setdefault(session_id, Parts()).add(parts)
        for trace in self._traces.values():
            if trace.target != trace.session_id and trace.is_settled:
                offer = offers.setdefault(trace.target, Parts())
                offer.add(trace.parts, without=ERROR)  # the trace is not the whole session
                refer(offer, trace.target, trace.reference)
        return offers


def _placed(record: AnyRecord, trace: Trace | None) -> AnyRecord:
    if trace is None or trace.target == trace.session_id:
        return record
    if isinstance(record, DecodedRecord):
        return in_session(record, trace.target)
    body = rehomed(record.body, trace.session_id, trace.target)
    return Record(record.kind, record.route, body)


def _scopes(parts: Mapping[str, Any]) -> list[str]:
    return [key for key in parts if key.startswith(SCOPE)]


def _nearness(parts: Mapping[str, Any], of_session: Mapping[str, Any]) -> int | None:
    """How many ms apart the records of one call may be below one parent; None: there is one.

    ``parts``: those of a trace. ``of_session``: those of its session.
    """
    if first_part(parts, LATE) or first_part(of_session, LATE):
        return LATE_MS
    return 0 if len(_scopes(parts)) > 1 else None


def _hidden(event_id: str, session_id: str, parent_id: str) -> Record:
    mark = {part_key(FOLDED, 0, 0, ""): parent_id}
    return record_builder.patch(event_id, session_id, {GATHERED: mark})


def _patch(session_id: str, parts: Mapping[str, Any]) -> Iterable[Record]:
    if parts:
        yield record_builder.patch(session_id, session_id, {GATHERED: parts})
