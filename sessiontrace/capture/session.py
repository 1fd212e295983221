"""Session: the handle of a whole session, or of one turn of a conversation; in the user's thread.

Invariant: a session that was opened has its ``start`` record offered before any event of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sessiontrace.capture.context.carried_span import let_go
from sessiontrace.capture.encoding.record_body import EVENT_MAX, encode_event, redact_and_bound
from sessiontrace.capture.encoding.safe_text import sanitize_text, text_of
from sessiontrace.capture.frame_headers import FrameHeaders
from sessiontrace.capture.handle import NEW, OPEN, SUPPRESSED, Handle, SessionHandle
from sessiontrace.capture.span import NO_INPUTS, Span
from sessiontrace.capture.tracer_state import TracerProtocol, TracerState
from sessiontrace.capture.unrecorded_span import UnrecordedSpan
from sessiontrace.model.ids import checked_now, is_uuid, new_id, session_uuid
from sessiontrace.model.later_types import SELF
from sessiontrace.model.sampling import is_sampled
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import raise_if_from_signal

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = SELF

__all__ = ["Session"]

F = TypeVar("F", bound=Callable[..., Any])

_TAGS_MAX = 100
_NO_TAGS = ()


class Session(Span):
    """One session, or with the caller's own ``session_id`` one turn of a conversation.

    ``session_id``: UUID string, known before the session opens. ``event_id``: equal to it, except
    in a conversation, where it names this turn. ``trace_id``: 32 hex digits of the W3C trace that
    the session is part of; None where they are those of ``session_id``. Each turn of a conversation
    is a trace of its own.
    """

    __slots__ = (
        "_own_source",
        "_sample",
        "_tracer",
        "conversation_id",
        "frame_headers",
        "session_id",
        "skip_reason",
        "source",
        "to",
        "trace_id",
    )

    session_id: str
    source: str
    frame_headers: FrameHeaders
    start_ns: int
    offset_ns: int
    session: SessionHandle

    def __init__(
        self,
        tracer: TracerProtocol | TracerState,
        name: str,
        *,
        session_id: str | None = None,
        user: str | None = None,
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        user_properties: Mapping[str, object] | None = None,
        source: str | None = None,
        tags: Sequence[str] = _NO_TAGS,
        to: str | Sequence[str] | None = None,
        sample: float | None = None,
        trace_id: str | None = None,
    ) -> None:
        recorder = tracer if isinstance(tracer, TracerState) else tracer.recorder
        super().__init__(recorder or UNOPENED, name, "session", None, config)
        if inputs is not None and self.recorder.capture:
            self._inputs = self._encode(inputs, "input")
        self._tracer = tracer
        self._own_source = None if source is None else text_of(source)
        self.conversation_id: str | None = session_id
        self.to: list[str] | None = None if to is None else _texts(to)
        self._sample = sample
        self.trace_id = trace_id
        self.skip_reason: str | None = None
        if session_id is None:
            self.event_id = self.session_id = new_id()
        else:
            own_id = sanitize_text(session_id) if type(session_id) is str else text_of(session_id)
            self.session_id = session_uuid(own_id)
            self.event_id: str = new_id()
            if trace_id is None:
                self.trace_id = self.event_id.replace("-", "")
            if not is_uuid(own_id):
                self.merge("metadata", {"session_id": own_id})
        if tags is not _NO_TAGS and (texts := _texts(tags)):
            self.merge("metadata", {"tags": texts})
        if metadata is not None:
            self.merge("metadata", metadata)
        if user is not None:
            self.merge("user_properties", {"user_id": user})
        if user_properties is not None:
            self.merge("user_properties", user_properties)

    def __call__(self, fn: F) -> F:
        """As a decorator: each call of ``fn`` runs in a new session made with these arguments."""
        from sessiontrace.capture.decorators.block import traced_block

        return traced_block(self._copy, fn)

    def arguments(self) -> dict[str, Any]:
        """The arguments for another session like this one, without its values."""
        return {
            "tracer": self._tracer,
            "name": self.name,
            "session_id": self.conversation_id,
            "source": self._own_source,
            "to": self.to,
            "sample": self._sample,
            "trace_id": None if self._is_own_trace() else self.trace_id,
        }

    def _is_own_trace(self) -> bool:
        """Whether no other tracer began the trace."""
        return self.trace_id in (None, self.event_id.replace("-", ""))

    def values(self) -> tuple[bytes | None, bytes | None, dict[str, Any] | None]:
        """Inputs and outputs, encoded, and the other groups of fields: what ``take_over`` takes."""
        return self._inputs, self._outputs, self._parts

    def _copy(self) -> Session:
        """A new session with the arguments and values of this one."""
        copy = Session(**self.arguments())
        needs_redaction = self._needs_redaction or copy.recorder is not self.recorder
        copy.take_over(self._inputs, self._outputs, self._parts, needs_redaction)
        return copy

    def take_over(
        self,
        inputs: bytes | None,
        outputs: bytes | None,
        parts: Mapping[str, Any] | None,
        needs_redaction: bool,
    ) -> None:
        """Have these values, encoded already: another handle's, which this session is for."""
        self._inputs, self._outputs = inputs, outputs
        if parts:
            for part, values in parts.items():
                if isinstance(values, dict):
                    self._own_group(part).update(values)
                else:
                    self._all_parts()[part] = values
        self._needs_redaction |= needs_redaction

    def __enter__(self) -> Self:
        try:
            if self.state == NEW and self.open_here():  # else off: all inside is a no-op too
                self.recorder.current.set(self)
        except BaseException:  # a signal's: the block does not begin
            self._end(True)
            raise
        return self

    def open_here(self) -> bool:
        """Open below what is current, without becoming it; False when tracing is off."""
        recorder = self._find_recorder()
        if recorder is None:
            return False
        if recorder is not self.recorder:
            self.recorder = recorder
            self._needs_redaction = True  # another recorder checked the values so far, or none
        self.open(recorder.current.get())
        return True

    def open(self, parent: Handle | None) -> None:
        """Begin below ``parent``, without becoming the current handle."""
        recorder, parent = self.recorder, let_go(parent)
        self.source = recorder.source if self._own_source is None else self._own_source
        metadata = self._own_group("metadata")
        if "service" not in metadata:
            if recorder.is_service_clean:
                metadata["service"] = recorder.service
            else:
                self.merge("metadata", {"service": recorder.service})
        if not recorder.capture:
            self._inputs, self._outputs = NO_INPUTS, None
        self.frame_headers = recorder.frame_headers
        self.start_ns, self.offset_ns = checked_now()
        self.parent = parent
        self.session = self
        self._decide_sampling(recorder, parent)
        if recorder.place is not None:
            recorder.place(self, parent)
        self.state = OPEN
        try:
            self._offer(recorder, self.frame_headers.start, None)
        except BaseException as error:
            if self._is_ours(error):
                recorder.drop("encode_error")
                return
            self._offer(recorder.unless_taken(), self.frame_headers.start, None)
            raise

    def _decide_sampling(self, recorder: TracerState, parent: Handle | None) -> None:
        """Where the session goes, and whether it is recorded at all."""
        if parent is not None and parent.session.skip_reason == SUPPRESSED:
            self._skip(SUPPRESSED)
            return
        rate = recorder.sample if self._sample is None else _rate(self._sample)
        if self._sample is not None:  # decided here: the rate of ``init`` does not apply
            self.merge("metadata", {"sample": rate})
        if rate < 1.0 and not is_sampled(self.session_id, rate):
            self._skip("sampled")
        self._route(recorder)

    def _route(self, recorder: TracerState) -> None:
        if self.to is not None and recorder.route is not None:
            frame_headers = recorder.route(tuple(self.to))
            if frame_headers is None:  # then to none, rather than to another destination
                self._skip("unrouted")
            else:
                self.frame_headers = frame_headers

    def _skip(self, reason: str) -> None:
        """Record nothing of this session; a reason other than SUPPRESSED is counted each time."""
        self.skip_reason = reason
        self.recorder.skips = True

    def _find_recorder(self) -> TracerState | None:
        tracer = self._tracer
        if isinstance(tracer, TracerState):
            return tracer
        return None if tracer.off else tracer.recorder or tracer.begin()

    def _emit(self, recorder: TracerState, end: int) -> None:
        self._offer(recorder, self.frame_headers.end, end)

    def _offer(self, recorder: TracerState, head: bytes, end: int | None) -> None:
        """Offer a record, unless the session is not recorded; ``end``: None for its start."""
        if self.skip_reason is not None:
            if self.skip_reason:
                recorder.drop(self.skip_reason)
            return
        encoded = encode_event(
            self.event_id,
            self.session_id,
            None,
            "session",
            self.source,
            self.start_ns,
            end,
            self.name,
            self._payload() if self.children_omitted or self.trace_id else self._parts,
            self.children_ids,
            self._inputs,
            self._outputs,
        )
        if self._needs_redaction or len(encoded) > EVENT_MAX:
            encoded = redact_and_bound(encoded, recorder.redact, self._needs_redaction)
        recorder.offer(head, encoded)


UNOPENED = TracerState(
    offer=lambda header, body: False,
    drop=lambda reason: None,
    current=ContextVar("sessiontrace.unopened", default=None),
    session_class=Session,
    span_class=Span,
    unrecorded_class=UnrecordedSpan,
    frame_headers=FrameHeaders(b"", b"", b""),
    source="",
    service="",
)
"""The recorder of a session that was created before its tracer had one, until it opens."""


def _texts(texts: object) -> list[str]:
    """One text or several, as a list."""
    if isinstance(texts, str):
        return [str.__str__(texts)]
    try:
        return [text_of(text) for text in islice(texts, _TAGS_MAX)]  # type: ignore[call-overload]
    except Exception as error:
        raise_if_from_signal(error)
        return [text_of(texts)]


def _rate(rate: object) -> float:
    if isinstance(rate, (int, float)) and 0.0 <= rate <= 1.0:
        return float(rate)
    log_once(
        "session:sample",
        "sample= must be a number from 0 to 1, got %s; the session is recorded",
        text_of(rate, 80),
    )
    return 1.0
