"""HoneyHive's exporter: records to REST v1 requests, and what the replies mean.

No I/O, no clock; used by a lane in the sender's thread. Three stages: sessions are posted before
the first of their events, then the events as they are (an event record is exactly a
PostEventRequest), then updates of what exists. How each record is sent:

==========================  =======================================================================
record                      HoneyHive
==========================  =======================================================================
start, open                 ``POST /v1/sessions`` with the 13 fields of StartSessionRequest
end of a session            within that POST where its start is in the same batch; else
                            ``PUT /v1/events/{session_id}``
event                       in ``POST /v1/events/batch``, its own bytes without ``start_nanos``
end of a turn               a chain event in that batch; end_time and metadata of its session by PUT
update                      ``PUT /v1/events/{event_id}``: feedback, metrics, metadata, config and
                            user_properties merge, outputs replace
late inputs, late error     ``metadata.inputs``, ``metadata.error.message``: PUT has no such fields
a session's metrics and     by PUT, a session's error in ``metadata.error``: StartSessionRequest has
feedback                    no such fields
all other fields            the fields of the same name, times in Unix ms
==========================  =======================================================================

Source: HoneyHive's data-plane OpenAPI 1.9.0. Invariant: of one event or session, a batch makes at
most one POST, and PUTs that arrive in the order of its records.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

import attrs
import orjson

from sessiontrace.export.protocol import (
    Batch,
    Blocked,
    Delivered,
    Invalid,
    Limits,
    Outcome,
    Reply,
    Request,
    Retry,
    judge_http,
)
from sessiontrace.model import payload
from sessiontrace.model.lru_cache import LruCache
from sessiontrace.model.record import (
    END,
    EVENT,
    OPEN,
    START,
    UPDATE,
    Record,
    Records,
    event_id_of,
    is_turn,
    session_id_of,
    turn_event,
)
from sessiontrace.vendors.honeyhive import bodies
from sessiontrace.vendors.honeyhive.bodies import Body
from sessiontrace.vendors.shared.request_groups import join_body
from sessiontrace.vendors.shared.responses import broken_answer
from sessiontrace.vendors.shared.truncate import replace_largest
from sessiontrace.wire.encoded.record_layout import plain_events

__all__ = ["HoneyHiveExporter"]

_SESSIONS_PATH = "/v1/sessions"
_EVENTS_PATH = "/v1/events/batch"
_MAX_BODY = 4_900_000  # HoneyHive refuses requests over 5 MB
_MAX_EVENTS = 1000  # as many event ids in a reply stay below the 64 KiB that are read of it
_REMEMBERED = 10_000
_BLOCK = 64  # records that are looked at between two pauses


class HoneyHiveExporter:
    """Exporter for HoneyHive's data plane.

    PUT cannot change inputs, so a session's end carries changed inputs in its metadata. To find out
    whether they changed, the exporter remembers a checksum of the inputs of the last 10 000
    sessions that it posted.
    """

    # Several requests of events to a batch: their answers are waited for together, and fewer
    # sessions reach from one batch into the next, which costs a request each.
    limits: Limits = Limits(
        max_records=4 * _MAX_EVENTS, max_bytes=4_000_000, max_age_s=1.0, concurrency=32
    )

    def __init__(self) -> None:
        self._inputs: LruCache[bytes, int] = LruCache(_REMEMBERED)

    def encode(self, batch: Batch) -> Iterator[Iterator[Request]]:
        """Sessions, then events, then updates, each as a generator."""
        plan = _Plan(batch, self._inputs)
        yield plan.sessions()
        yield plan.events()
        yield from plan.updates()

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """By status, with four exceptions.

        - A web page with status 2xx comes from a captive portal or a wrong address: Blocked.
        - ``success: false`` with status 200 from the batch route is a Retry, like the 500 that it
          sends for events "partially created": HoneyHive replies 400 where the content is wrong,
          and events keep their ids.
        - A POST's 2xx whose JSON breaks off is a Retry.
        - 404 to a PUT means that event or session, not the address: Invalid.
        """
        if 200 <= reply.status < 300:
            return _judge_taken(request, reply)
        outcome = judge_http(reply)
        if request.method == "PUT" and reply.status == 404:
            outcome = Invalid("HTTP 404")
        if isinstance(outcome, Invalid) and (message := _message(reply.body)):
            outcome = Invalid(f"{outcome.reason}: {message}")
        return outcome

    def cut(self, record: Record) -> Record | None:
        """The record without its largest object, and with a mark that says how much is gone."""
        return replace_largest(record, "[{size} bytes that HoneyHive did not take]")


@attrs.define(eq=False)
class _Session:
    """One session in a batch: the indices of its starts, and of its end if it ended."""

    starts: list[int] = attrs.field(factory=list)
    plain: bool = False  # one of the starts is the session's own, not a turn's
    end: int | None = None
    fresh: bool = True  # opened in this batch, so it was not posted before


class _Plan:
    """One batch, sorted into the three stages."""

    def __init__(self, batch: Batch, inputs: LruCache[bytes, int]) -> None:
        self._records = batch.records  # throttled: each look at it may be a pause
        self._kinds: list[bytes] = []  # of the records, and their bodies
        self._raw: list[bytes] = []
        self._inputs = inputs
        self._events: list[int] = []
        self._bodies: list[bytes] = []  # of the events, in step
        self._changes: list[int] = []
        self._sessions: dict[bytes, _Session] = {}
        self._decoded: dict[int, Body] = {}
        add_event, add_body = self._events.append, self._bodies.append
        for first in range(0, len(batch.records), _BLOCK):
            some = batch.records[first : first + _BLOCK]
            block = some if isinstance(some, Records) else Records.of(some)
            self._kinds += block.kinds
            self._raw += block.bodies
            plain = plain_events(block.kinds, block.bodies)
            for index, event in enumerate(plain, first):
                if event is not None:
                    add_event(index)
                    add_body(event)
                else:
                    self._sort(index, block[index - first], batch.replay)

    def _sort(self, index: int, record: Record, replay: bool) -> None:
        """Sort in a record that is not sent as it is."""
        kind, _, body = record
        if kind == EVENT:
            self._events.append(index)
            self._bodies.append(bodies.event_bytes(body))
        elif kind == UPDATE:
            self._changes.append(index)
        else:
            self._sort_session(index, kind, body, replay)

    def _sort_session(self, index: int, kind: bytes, body: bytes, replay: bool) -> None:
        session = self._sessions.setdefault(session_id_of(body), _Session())
        if kind in (START, OPEN):
            session.starts.append(index)
            session.plain = session.plain or not is_turn(body)
            session.fresh = session.fresh and kind == START and not replay
        elif kind == END:
            self._changes.append(index)
            if is_turn(body):
                self._events.append(index)
                self._bodies.append(
                    payload.compact_json(bodies.event(turn_event(self._decode(index))))
                )
            elif session.plain:
                session.end = index

    # -- stage 1 ----------------------------------------------------------------------------

    def sessions(self) -> Iterator[Request]:
        """POST /v1/sessions for each session that this batch opens."""
        for session_id, session in self._sessions.items():
            if session.starts:
                carried = [*session.starts, *([] if session.end is None else [session.end])]
                _ = self._records[carried[0]]  # a pause, when it is due
                body = self._session_bytes(session_id, session)
                yield Request("POST", _SESSIONS_PATH, body, tuple(carried))

    def _session_bytes(self, session_id: bytes, session: _Session) -> bytes:
        if len(session.starts) == 1 and session.plain:
            start = self._raw[session.starts[0]]
            end = None if session.end is None else self._raw[session.end]
            if (encoded := bodies.session_bytes(start, end)) is not None:
                self._remember(session_id, start)
                return encoded
        return payload.compact_json(self._session_body(session_id, session))

    def _session_body(self, session_id: bytes, session: _Session) -> Body:
        body: Body = {}
        for index in session.starts:
            start = self._decode(index)
            if is_turn(self._raw[index]):
                new = bodies.conversation(start)
            else:
                new = bodies.session(start)
                self._remember(session_id, self._raw[index])
            if body:  # HoneyHive itself merges these two into a session that it has
                new = {name: new[name] for name in ("metadata", "user_properties") if name in new}
            bodies.merge(body, new)
        if session.end is not None:
            bodies.merge(body, bodies.session(self._decode(session.end)), ())
        return body

    def _remember(self, session_id: bytes, start: bytes) -> None:
        self._inputs.put(session_id, zlib.crc32(bodies.inputs_of(start)))

    # -- stage 2 ----------------------------------------------------------------------------

    def events(self) -> Iterator[Request]:
        """POST /v1/events/batch with the events' own bytes, as many as fit into one request."""
        bodies, first = self._bodies, 0
        while first < len(bodies):
            last = min(len(bodies), first + _MAX_EVENTS)
            size = sum(map(len, bodies[first:last])) + last - first
            while size > _MAX_BODY and last > first + 1:
                last -= 1
                size -= len(bodies[last]) + 1
            yield _posted(bodies[first:last], self._events[first:last])
            first = last

    # -- stage 3, and more of them where one PUT would be too large --------------------------

    def updates(self) -> Iterator[Iterator[Request]]:
        """PUT /v1/events/{id}, one for each id in each stage."""
        by_target: dict[bytes, list[list[int]]] = {}
        sizes: dict[bytes, int] = {}
        for index in self._changes:
            body = self._raw[index]
            if self._is_sent(index, body):
                continue
            update = self._kinds[index] == UPDATE
            target = event_id_of(body) if update else session_id_of(body)
            rounds = by_target.setdefault(target, [[]])
            size = sizes[target] = sizes.get(target, 0) + len(body)
            if size > _MAX_BODY and rounds[-1]:
                rounds.append([])
                sizes[target] = len(body)
            rounds[-1].append(index)
        for turn in range(max(map(len, by_target.values()), default=0)):
            yield self._puts(
                (target, rounds[turn]) for target, rounds in by_target.items() if turn < len(rounds)
            )

    def _puts(self, changes: Iterable[tuple[bytes, list[int]]]) -> Iterator[Request]:
        for target, indices in changes:
            merged: Body = {}
            carried = []
            for index in indices:
                if change := self._change(index):
                    bodies.merge(merged, change)
                    carried.append(index)
            if carried:
                path = f"/v1/events/{target.decode('ascii')}"
                yield Request("PUT", path, payload.compact_json(merged), tuple(carried))

    def _change(self, index: int) -> Body:
        """The fields with which an update or end changes what exists."""
        decoded = self._decode(index)
        if self._kinds[index] == UPDATE:
            return bodies.update(decoded)
        body = self._raw[index]
        if is_turn(body):
            return bodies.session_update(decoded)
        session_id = session_id_of(body)
        session = self._sessions[session_id]
        if session.end == index and session.fresh:
            return bodies.leftover(body)
        inputs_posted = zlib.crc32(bodies.inputs_of(body)) == self._inputs.get(session_id)
        late = {
            name: value for name, value in decoded.items() if name != "inputs" or not inputs_posted
        }
        return bodies.update(late)

    def _is_sent(self, index: int, body: bytes) -> bool:
        """Whether the POST of a session carries all of its end."""
        if self._kinds[index] == UPDATE:
            return False
        session = self._sessions[session_id_of(body)]
        return session.end == index and session.fresh and not bodies.leftover(body)

    def _decode(self, index: int) -> Body:
        decoded = self._decoded.get(index)
        if decoded is None:
            decoded = self._decoded[index] = orjson.loads(self._records[index].body)
        return decoded


def _posted(bodies: list[bytes], indices: Sequence[int]) -> Request:
    body = join_body(b'{"events":[', bodies, b"]}")
    return Request("POST", _EVENTS_PATH, body, tuple(indices))


def _judge_taken(request: Request, reply: Reply) -> Outcome:
    if "html" in reply.headers.get("content-type", "").lower():
        return Blocked("a web page answers there, not HoneyHive; is base_url right?")
    if request.method == "POST" and (broken := broken_answer(reply)):
        return broken  # a PUT's answer may be a large event
    if request.path != _EVENTS_PATH or not reply.body:
        return Delivered()
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        return Blocked("what answers there is not HoneyHive; is base_url right?")
    if answer.get("success") is False:
        return Retry("HoneyHive did not take all events")
    return Delivered()


def _message(body: bytes) -> str:
    """What HoneyHive says about a refusal, safe to show."""
    try:
        message = orjson.loads(body)["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return ""
    return "".join(char if char.isprintable() else " " for char in str(message)[:200])
