"""Span: the handle of one step that is still running; used in the user's thread, in their task.

A span is entered and left without waiting, holds no lock across user code and keeps only encoded
snapshots of its values. Invariant: in whatever order and task a span is entered and left, it
records at most one event, and leaving it raises none of our errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.context.carried_span import let_go
from sessiontrace.capture.encoding.encoder import encode_object_and_check
from sessiontrace.capture.encoding.fast_path import encode_fast
from sessiontrace.capture.encoding.record_body import EVENT_MAX, encode_event, redact_and_bound
from sessiontrace.capture.encoding.safe_text import kind_name, text_of
from sessiontrace.capture.handle import (
    ENDED,
    NEW,
    OPEN,
    STATE_NAMES,
    Handle,
    ImplicitSession,
    SessionHandle,
)
from sessiontrace.capture.interruptible_end import InterruptibleEnd
from sessiontrace.capture.span_values import NO_INPUTS, UNSET, SpanValues, name_of
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.ids import TRACE_ID, now_by, stamp
from sessiontrace.model.later_types import SELF
from sessiontrace.model.step_types import SPAN_TYPES, STEP_TYPES
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import is_from_signal, without_entry_check

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = SELF


__all__ = ["EVENT_MAX", "NO_INPUTS", "UNSET", "Span", "is_skipped", "name_of"]

CHILDREN_MAX = 10_000


class Span(InterruptibleEnd, SpanValues):
    """One step of a session. Use it with ``with`` or ``async with``; ``set`` may be called inside.

    ``event_id``: UUID string, fixed when the span opens (empty before). ``name``: text. ``type``:
    one of ``model.step_types``. What is not documented in the README is for this package (see
    ``handle.Handle``) and may change.
    """

    __slots__ = (
        "__weakref__",
        "_implicit",
        "children_ids",
        "children_omitted",
        "event_id",
        "name",
        "offset_ns",
        "parent",
        "recorder",
        "session",
        "start_ns",
        "state",
        "type",
    )

    recorder: TracerState
    parent: Handle | None
    session: SessionHandle
    start_ns: int
    offset_ns: int

    def __init__(
        self,
        recorder: TracerState,
        name: str,
        type: str = "chain",
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        self.recorder = recorder
        self.state: int = NEW
        self.children_ids: list[str] | None = None
        self.children_omitted: int = 0
        self._implicit: ImplicitSession | None = None
        self._needs_redaction = False  # a text or a key may contain a secret
        self._inputs: bytes | None = NO_INPUTS  # both encoded; None: left out, or after the end
        self._outputs: bytes | None = None
        self._parts: dict[str, Any] | None = None  # the other groups of fields, and the error
        self.event_id: str = ""
        # A new name is checked once; `__class__` may lie, but then the name is not among these.
        checked = name.__class__ is str and name in recorder.clean_texts.span_names
        self.name: str = name if checked else self._check_name(name)
        self.type: str = type if type.__class__ is str and type in SPAN_TYPES else _type_of(type)
        if inputs is not None and recorder.capture:
            if recorder.skips and is_skipped(recorder.current.get()):
                self._inputs = None
            else:
                self._inputs = self._encode(inputs, "input")
        if config is not None:
            self.merge("config", config)
        if metadata is not None:
            self.merge("metadata", metadata)

    @property
    def session_id(self) -> str:
        """The UUID of the session this span belongs to; empty before the span opens."""
        return self.session.session_id if self.state else ""

    def __repr__(self) -> str:
        state = STATE_NAMES[self.state]
        return f"<sessiontrace {kind_name(type(self))} {self.name!r} {self.event_id} {state}>"

    def _repr_html_(self) -> str | None:
        """The handle in a notebook; None, and so ``repr``, where it cannot be drawn."""
        from sessiontrace.capture.notebook import handle_html

        return handle_html(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self  # a handle in the user's data; see `pickling` for other processes

    # -- entering and leaving ---------------------------------------------------------------

    def __enter__(self) -> Self:
        if self.state == NEW:
            current = self.recorder.current
            try:
                self.open(current.get())
                current.set(self)
            except BaseException:  # a signal's: the block does not begin
                self._end(True)
                raise
        return self  # entered twice: the first entering counts

    def open(self, parent: Handle | None) -> None:
        """Begin below ``parent``, without becoming the current handle."""
        recorder = self.recorder
        if self._inputs is None and not is_skipped(parent):  # created in another session
            self._inputs = NO_INPUTS
            self.merge("metadata", {"inputs_left_out": "given in a session that is not recorded"})
        if parent is None:
            parent = self._open_implicit_session()
        elif parent.recorder is not recorder and not parent.recorder.inert:
            self.recorder = parent.recorder
            self._needs_redaction = True  # the other recorder checked the values so far
        self.parent = parent
        self.session = parent.session
        self.start_ns, self.offset_ns, event_id = stamp()
        self.event_id = event_id
        if recorder.place is not None:
            recorder.place(self, parent)
        self.state = OPEN  # from here on a signal's exception leaves a record
        children = parent.children_ids
        if parent.state == ENDED:  # a task that outlived its parent, whose record is written
            self._skip_ended(parent)
        elif children is None:
            parent.children_ids = [event_id]
        elif len(children) < CHILDREN_MAX:
            children.append(event_id)
        else:
            parent.children_omitted += 1

    def _skip_ended(self, parent: Handle) -> None:
        """Move below the nearest open handle.

        That is where a library reported the end of the parent, and in a thread that the parent
        started and that now serves others. A task that outlived its parent stays below it.
        """
        if getattr(parent, "outlives_context", False):
            outer = _open_ancestor(parent.parent)
        else:
            outer = let_go(parent)
            if outer is parent:
                return
        above = outer or self._open_implicit_session()
        self.parent, self.session = above, above.session
        children = above.children_ids
        if children is None:
            above.children_ids = [self.event_id]
        elif len(children) < CHILDREN_MAX:
            children.append(self.event_id)
        else:
            above.children_omitted += 1

    @without_entry_check
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            if exc is not None and self.state == OPEN:
                here = self.recorder.current.get()
                if here is not self and is_from_signal(exc):
                    self._end_inside(here)
                if self.session.skip_reason is None:
                    self._record_failure(exc, tb)
            self._end(True)
        except RecursionError:  # the user's stack is full: no room for a record, but for order
            self.state = ENDED
            self.recorder.current.set(self.parent)
        except BaseException as error:
            self._end_again(error)

    def _restore_context(self, here: Handle | None) -> None:
        """Restore the parent where a handle inside was entered and never left."""
        if here is self:  # the end was interrupted
            self.recorder.current.set(_open_ancestor(self.parent))
            return
        while here is not None:
            here = here.parent
            if here is self:
                self.recorder.current.set(self.parent)
                return

    async def __aenter__(self) -> Self:
        return self.__enter__()

    @without_entry_check
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        # No await in here: under cancellation it would be interrupted, and the event lost.
        self.__exit__(exc_type, exc, tb)

    @without_entry_check
    def end(self, *, outputs: object = UNSET, error: str | BaseException | None = None) -> None:
        """End the span now, as failed with ``error``. Later calls and leaving the block do nothing.

        ``error``: as of ``set``.
        """
        try:
            if outputs is not UNSET or error is not None:
                self.set(outputs=outputs, error=error)
        finally:
            self._end(False)

    @without_entry_check
    def end_with(self, result: object) -> None:
        """``set`` and ``end`` for the result of a traced function, without the calls."""
        try:
            recorder = self.recorder
            skips = recorder.skips and self.session.skip_reason is not None
            if self.state == OPEN and recorder.capture and not skips:
                self._outputs = self._encode(result, "result")
        finally:
            self._end(False)

    @without_entry_check
    def _end(self, leaving: bool) -> None:
        recorder = self.recorder
        if self.state != OPEN:
            if leaving and self.state == ENDED:
                self._restore_context(recorder.current.get())
            elif self._implicit is not None and self._implicit.state == OPEN:
                self._implicit.end()  # the entering was interrupted
            return
        self.state = ENDED  # right after the check: no other thread runs in between
        end = 0
        try:
            if not recorder.inert:
                if (reason := self.session.skip_reason) is None:
                    end = now_by(self.offset_ns)
                    self._emit(recorder, end)
                elif reason:
                    recorder.drop(reason)
            if self._implicit is not None:
                self._end_implicit_session(self._implicit)
        except BaseException as error:
            self._emit_again(recorder, end, error)
        finally:  # also when Ctrl-C or a signal's exception comes in the middle
            parent = self.parent
            if parent is not None and parent.state == ENDED:
                self.parent = parent = _open_ancestor(parent)
            current = recorder.current
            here = current.get()
            if here is self:
                current.set(parent)
            elif leaving:  # in another task, or out of order
                self._restore_context(here)
            self._inputs = self._outputs = self._parts = None

    def set(
        self,
        *,
        inputs: object = None,
        outputs: object = UNSET,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        metrics: Mapping[str, object] | None = None,
        feedback: Mapping[str, object] | None = None,
        user_properties: Mapping[str, object] | None = None,
        error: str | BaseException | None = None,
    ) -> Self:
        """Add to the span: dicts merge key by key, ``inputs`` and ``outputs`` replace.

        ``error``: a text, or an exception that was handled: the span failed.
        Values are encoded here and now, so later changes to them do not show. Returns the span.
        After the span has ended nothing changes any more.
        """
        if self.state == ENDED:
            return self
        recorder = self.recorder
        if recorder.skips and self.state == OPEN and self.session.skip_reason is not None:
            return self
        if outputs is not UNSET and recorder.capture:
            self._outputs = self._encode(outputs, "result")
        if inputs is not None and recorder.capture:
            self._inputs = self._encode(inputs, "input")
        if config is not None:
            self.merge("config", config)
        if metadata is not None:
            self.merge("metadata", metadata)
        if metrics is not None:
            self.merge("metrics", metrics)
        if feedback is not None:
            self.merge("feedback", feedback)
        if user_properties is not None:
            self.merge("user_properties", user_properties)
        if error is not None:
            self._record_error(error)
        return self

    def _encode(self, value: object, key: str) -> bytes:
        """The bytes of an object; a value of another type becomes ``{key: value}``."""
        clean_texts = self.recorder.clean_texts
        if (json := encode_fast(value, clean_texts)) is not None:
            return json
        encoded, needs_redaction = encode_object_and_check(value, key, clean_texts)
        if needs_redaction:
            self._needs_redaction = True
        return encoded

    def step_out(self) -> None:
        """Stay open without being current: what the caller does now is not inside."""
        current = self.recorder.current
        if current.get() is self:
            current.set(self.parent if self._implicit is None else None)

    def _open_implicit_session(self) -> SessionHandle:
        recorder = self.recorder
        session: ImplicitSession = recorder.session_class(recorder, self.name)
        self._implicit = session
        session.take_over(self._inputs, None, None, self._needs_redaction)
        session.open(None)
        return session

    def _end_implicit_session(self, session: ImplicitSession) -> None:
        failure: dict[str, Any] | None = None
        if self._parts is not None and ("error" in self._parts or "metadata" in self._parts):
            metadata = self._parts.get("metadata", {})
            details = {name: metadata[name] for name in ("error", "cancelled") if name in metadata}
            error = {"error": self._parts["error"]} if "error" in self._parts else {}
            failure = {**error, "metadata": details} if details else error
        session.take_over(self._inputs, self._outputs, failure, self._needs_redaction)
        session.end()

    # -- the record -------------------------------------------------------------------------

    def _emit(self, recorder: TracerState, end: int) -> None:
        session, parent = self.session, self.parent
        encoded = encode_event(
            self.event_id,
            session.session_id,
            session.event_id if parent is None else parent.event_id,
            self.type,
            session.source,
            self.start_ns,
            end,
            self.name,
            self._payload() if self.children_omitted or session.trace_id else self._parts,
            self.children_ids,
            self._inputs,
            self._outputs,
        )
        if self._needs_redaction or len(encoded) > EVENT_MAX:
            encoded = redact_and_bound(encoded, recorder.redact, self._needs_redaction)
        recorder.offer(session.frame_headers.event, encoded)

    def _payload(self) -> dict[str, Any]:
        """All parts, the trace where the session's id does not say it, and children left out."""
        parts = {} if self._parts is None else self._parts
        metadata: dict[str, Any] = {}
        if self.session.trace_id is not None:
            metadata[TRACE_ID] = self.session.trace_id
        if self.children_omitted:
            metadata["children_truncated"] = self.children_omitted
        if not metadata:
            return parts
        return {**parts, "metadata": {**parts.get("metadata", {}), **metadata}}


def is_skipped(handle: Handle | None) -> bool:
    """Whether what begins here is not recorded."""
    return handle is not None and handle.session.skip_reason is not None


def _open_ancestor(handle: Handle | None) -> Handle | None:
    """The nearest that is open: else a chain of tasks, each born in the last, would be kept."""
    while handle is not None and handle.state == ENDED:
        handle = handle.parent
    return handle


def _type_of(type_: object) -> str:
    if isinstance(type_, str) and type_ in SPAN_TYPES:
        return str.__str__(type_)
    log_once(
        "span:type",
        "span type %s is unknown, recorded as 'chain'; use one of %s",
        text_of(type_, 80),
        ", ".join(STEP_TYPES),
    )
    return "chain"
