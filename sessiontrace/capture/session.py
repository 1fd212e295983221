"""Session: the handle of a whole session, or of one turn of a conversation; in the user's thread.

Invariant: a session that was opened has its ``start`` record offered before any event of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sessiontrace.capture.decorators.function import traced_block
from sessiontrace.capture.encoding.record_parts import compose_record
from sessiontrace.capture.encoding.safe_text import sanitize_text, text_of
from sessiontrace.capture.span import _NEW, _OPEN, NO_INPUTS, Span
from sessiontrace.capture.tracer_state import UNOPENED, FrameHeaders, TracerProtocol, TracerState
from sessiontrace.model.ids import is_uuid, new_id, now_ns, session_uuid
from sessiontrace.model.sampling import is_sampled
from sessiontrace.runtime.log import log_once

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Session"]

F = TypeVar("F", bound=Callable[..., Any])

_TAGS_MAX = 100


class Session(Span):
    """One session, or with the caller's own ``session_id`` one turn of a conversation.

    ``session_id``: UUID string, known before the session opens. ``event_id``: equal to it, save in
    a conversation, where it names this turn.
    """

    __slots__ = (
        "_given_id",
        "_given_source",
        "_heads",
        "_sample",
        "_session_id",
        "_skipped",
        "_switch",
        "_to",
        "source",
    )

    _heads: FrameHeaders
    _skipped: str | None
    """Why nothing of this session is recorded: a reason to count, "" to stay silent."""

    def __init__(
        self,
        switch: TracerProtocol | TracerState,
        name: str,
        *,
        session_id: str | None = None,
        user: str | None = None,
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        user_properties: Mapping[str, object] | None = None,
        source: str | None = None,
        tags: Sequence[str] = (),
        to: str | Sequence[str] | None = None,
        sample: float | None = None,
    ) -> None:
        recorder = switch if isinstance(switch, TracerState) else switch.recorder
        super().__init__(recorder or UNOPENED, name, "session", None, config)
        if inputs is not None and self._recorder.capture:
            self._inputs = self._encoded(inputs, "input")
        self._switch = switch
        self._given_source = None if source is None else text_of(source)
        self._given_id = session_id
        self._to = None if to is None else _texts(to)
        self._sample = sample
        self._skipped = None
        if session_id is None:
            self.event_id = self._session_id = new_id()
        else:
            given = sanitize_text(session_id) if type(session_id) is str else text_of(session_id)
            self._session_id = session_uuid(given)
            self.event_id = new_id()
            if not is_uuid(given):
                self._merge("metadata", {"session_id": given})
        if tags := _texts(tags):
            self._merge("metadata", {"tags": tags})
        if metadata is not None:
            self._merge("metadata", metadata)
        if user is not None:
            self._merge("user_properties", {"user_id": user})
        if user_properties is not None:
            self._merge("user_properties", user_properties)

    @property
    def session_id(self) -> str:
        """The session's UUID."""
        return self._session_id

    def __call__(self, fn: F) -> F:
        """As a decorator: each call of ``fn`` runs in a new session made with these arguments."""
        return traced_block(self._switch, self._fresh, fn)

    def _fresh(self) -> Session:
        fresh = Session(
            self._switch,
            self.name,
            session_id=self._given_id,
            source=self._given_source,
            to=self._to,
            sample=self._sample,
        )
        fresh._needs_redaction = self._needs_redaction or fresh._recorder is not self._recorder
        fresh._inputs, fresh._outputs = self._inputs, self._outputs
        for part, held in (self._parts or {}).items():
            fresh._field_group()[part] = dict(held) if isinstance(held, dict) else held
        return fresh

    def __enter__(self) -> Self:
        if self._state == _NEW:
            recorder = self._find_recorder()
            if recorder is not None:  # else off: everything inside is a no-op too
                self._use_state(recorder)
                self._open(recorder.current.get())
                recorder.current.set(self)
        return self

    def _use_state(self, recorder: TracerState) -> None:
        """Record with this one."""
        if recorder is not self._recorder:
            self._recorder = recorder
            self._needs_redaction = True  # so far another one looked, or none

    def _open(self, parent: Span | None) -> None:
        recorder = self._recorder
        self.source = recorder.source if self._given_source is None else self._given_source
        if "service" not in self._field_group("metadata"):
            self._merge("metadata", {"service": recorder.service})
        if not recorder.capture:
            self._inputs, self._outputs = NO_INPUTS, None
        self._heads = recorder.heads
        self._start = now_ns()
        self._parent = parent
        self._session = self
        self._decide_sampling(recorder, parent)
        self._state = _OPEN
        try:
            self._offer(recorder, self._heads.start, self._envelope())
        except Exception:
            recorder.drop("encode_error")

    def _decide_sampling(self, recorder: TracerState, parent: Span | None) -> None:
        """Where the session goes, and whether it is recorded at all."""
        if parent is not None and parent._session._skipped == "":  # suppressed
            self._skip("")
            return
        rate = recorder.sample if self._sample is None else _rate(self._sample)
        if self._sample is not None:  # it is decided here: what ``init`` samples by leaves it alone
            self._merge("metadata", {"sample": rate})
        if rate < 1.0 and not is_sampled(self._session_id, rate):
            self._skip("sampled")
        self._route(recorder)

    def _route(self, recorder: TracerState) -> None:
        if self._to is not None and recorder.route is not None:
            heads = recorder.route(tuple(self._to))
            if heads is None:  # to no other destination than the one that was meant
                self._skip("unrouted")
            else:
                self._heads = heads

    def _skip(self, reason: str) -> None:
        """Record nothing in here; every record is counted as dropped for a reason that is given."""
        self._skipped = reason
        self._recorder.skips = True

    def _find_recorder(self) -> TracerState | None:
        switch = self._switch
        if isinstance(switch, TracerState):
            return switch
        return None if switch.off else switch.recorder or switch.begin()

    def _emit(self, recorder: TracerState, end: int) -> None:
        envelope = self._envelope()
        envelope["end_time"] = end // 1_000_000
        envelope["duration"] = (end - self._start) / 1_000_000
        self._offer(recorder, self._heads.end, envelope)

    def _offer(self, recorder: TracerState, head: bytes, envelope: dict[str, Any]) -> None:
        """Complete the record and offer it, unless the session is not recorded."""
        if self._skipped is not None:
            if self._skipped:
                recorder.drop(self._skipped)
            return
        body = {**envelope, "event_name": self.name, **self._payload()}
        if self._children is not None:
            body["children_ids"] = self._children
        doubtful = self._needs_redaction
        recorder.offer(
            head, compose_record(body, self._inputs, self._outputs, recorder.redact, doubtful)
        )

    def _envelope(self) -> dict[str, Any]:
        return {
            "event_id": self.event_id,
            "session_id": self._session_id,
            "event_type": "session",
            "source": self.source,
            "start_time": self._start // 1_000_000,
        }


Span._session_kind = Session


def _texts(given: object) -> list[str]:
    """One text or several, as a list."""
    if isinstance(given, str):
        return [str.__str__(given)]
    try:
        return [text_of(one) for one in islice(given, _TAGS_MAX)]  # type: ignore[call-overload]
    except Exception:
        return [text_of(given)]


def _rate(given: object) -> float:
    if isinstance(given, (int, float)) and 0.0 <= given <= 1.0:
        return float(given)
    log_once("session:sample", "sample=%s is no number from 0 to 1, taken as 1", text_of(given, 80))
    return 1.0
