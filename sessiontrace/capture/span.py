"""Span: the handle of one step that is still running; used in the user's thread, in their task.

A span is entered and left without waiting, holds no lock across user code and keeps only encoded
snapshots of its values. Invariant: in whatever order and task a span is entered and left, it
records at most one event, and leaving it raises none of our errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from sessiontrace.capture.context.carried_span import let_go
from sessiontrace.capture.encoding.encoder import encode_and_check, encode_object_and_check
from sessiontrace.capture.encoding.exceptions import describe, is_cancelled, summary
from sessiontrace.capture.encoding.fast_path import encode_fast
from sessiontrace.capture.encoding.record_body import EVENT_MAX, encode_event, redact_and_bound
from sessiontrace.capture.encoding.safe_text import cut, kind_name, omitted, text_of
from sessiontrace.capture.encoding.short_repr import short_text
from sessiontrace.capture.encoding.walker import BoundedWalker
from sessiontrace.capture.handle import (
    ENDED,
    NEW,
    OPEN,
    STATE_NAMES,
    Handle,
    ImplicitSession,
    SessionHandle,
)
from sessiontrace.capture.redaction.clean_text_cache import CLEAN_KEYS, all_keys_clean
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.ids import TRACE_ID, now_by, stamp
from sessiontrace.runtime.log import log_once
from sessiontrace.runtime.signals import is_from_signal, raise_if_from_signal

if TYPE_CHECKING:
    from typing_extensions import Self


__all__ = ["EVENT_MAX", "NO_INPUTS", "UNSET", "Span", "name_of"]

CHILDREN_MAX = 10_000

UNSET: Any = object()
"""The default of ``outputs``, where None is a value that a function may return."""

_INTERRUPTIONS_MAX = 20  # of one end, by signals
_NAME_MAX = 512
_NAMES_MAX = 1_000  # that are remembered
_KEYS_MAX = 1_000  # of one dict in `set`
_RAW_TEXT_MAX = 1_000  # a shorter text goes into the record as it is

_TYPES = ("chain", "model", "tool", "session")

NO_INPUTS = b"{}"

_Fragment = orjson.Fragment


def name_of(name: object) -> str:
    """A name as text of bounded length."""
    if type(name) is str and len(name) <= _NAME_MAX:
        return name
    return cut(name, _NAME_MAX) if type(name) is str else text_of(name, _NAME_MAX)


class Span:
    """One step of a session. Use it with ``with`` or ``async with``; ``set`` may be called inside.

    ``event_id``: UUID string, fixed when the span opens (empty before). ``name``: text. ``type``:
    "chain", "model" or "tool". What is not documented in the README is for this package (see
    ``handle.Handle``) and may change.
    """

    __slots__ = (
        "__weakref__",
        "_implicit",
        "_inputs",
        "_needs_redaction",
        "_outputs",
        "_parts",
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
        self.state = NEW
        self.children_ids: list[str] | None = None
        self.children_omitted = 0
        self._implicit: ImplicitSession | None = None
        self._needs_redaction = False  # a text or a key may contain a secret
        self._inputs: bytes | None = NO_INPUTS  # both encoded; None: left out, or after the end
        self._outputs: bytes | None = None
        self._parts: dict[str, Any] | None = None  # the other groups of fields, and the error
        self.event_id = ""
        # A new name is checked once; `__class__` may lie, but then the name is not among these.
        checked = name.__class__ is str and name in recorder.clean_texts.span_names
        self.name = name if checked else self._check_name(name)
        self.type = type if type.__class__ is str and type in _TYPES else _type_of(type)
        if inputs is not None and recorder.capture:
            if recorder.skips and _is_skipped(recorder.current.get()):
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
        if self._inputs is None and not _is_skipped(parent):  # created in another session
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
        children = parent.children_ids
        if parent.state == ENDED:  # a task that outlived its parent, whose record is written
            self._skip_ended(parent)
        elif children is None:
            parent.children_ids = [event_id]
        elif len(children) < CHILDREN_MAX:
            children.append(event_id)
        else:
            parent.children_omitted += 1
        self.state = OPEN

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
                    self._end_interrupted(here)
                self._record_failure(exc, tb)
            self._end(True)
        except RecursionError:  # the user's stack is full: no room for a record, but for order
            self.state = ENDED
            self.recorder.current.set(self.parent)

    def _restore_context(self, here: Handle | None) -> None:
        """Restore the parent where a handle inside was entered and never left."""
        while here is not None:
            here = here.parent
            if here is self:
                self.recorder.current.set(self.parent)
                return

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        # No await in here: under cancellation it would be interrupted, and the event lost.
        self.__exit__(exc_type, exc, tb)

    def end(self, *, outputs: object = UNSET) -> None:
        """End the span now. Later calls, and leaving the block, do nothing more."""
        if outputs is not UNSET:
            self.set(outputs=outputs)
        self._end(False)

    def end_with(self, result: object) -> None:
        """``set`` and ``end`` for the result of a traced function, without the calls."""
        recorder = self.recorder
        skips = recorder.skips and self.session.skip_reason is not None
        if self.state == OPEN and recorder.capture and not skips:
            self._outputs = self._encode(result, "result")
        self._end(False)

    def _end(self, leaving: bool) -> None:
        recorder = self.recorder
        if self.state != OPEN:
            if leaving and self.state == ENDED:
                self._restore_context(recorder.current.get())
            return
        self.state = ENDED  # right after the check: no other thread runs in between
        end = 0
        try:
            if not recorder.inert:
                end = now_by(self.offset_ns)
                self._emit(recorder, end)
            if self._implicit is not None:
                self._end_implicit_session(self._implicit)
        except BaseException as error:
            self._survive(recorder, end, error)
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

    def _survive(self, recorder: TracerState, end: int, error: BaseException) -> None:
        """Count what failed in our own work; finish what a signal interrupted, then raise it."""
        if isinstance(error, Exception) and not is_from_signal(error):
            recorder.drop("encode_error")
            return
        for _ in range(_INTERRUPTIONS_MAX):
            try:
                if not recorder.inert:
                    again = recorder.unless_taken()
                    self._emit(again, end or now_by(self.offset_ns))
                if self._implicit is not None and self._implicit.state == OPEN:
                    self._end_implicit_session(self._implicit)
                break
            except BaseException as other:
                if isinstance(other, Exception) and not is_from_signal(other):
                    recorder.drop("encode_error")
                    break
                error = other
        raise error

    def _end_interrupted(self, here: Handle | None) -> None:
        """End the handles inside whose own leaving a signal's exception prevented."""
        inside = []
        while here is not None and here is not self:
            inside.append(here)
            here = here.parent
        if here is self:
            for handle in inside:
                handle.end()

    def step_out(self) -> None:
        """Stay open without being current: what the caller does now is not inside."""
        current = self.recorder.current
        if current.get() is self:
            current.set(self.parent if self._implicit is None else None)

    def _open_implicit_session(self) -> SessionHandle:
        recorder = self.recorder
        self._implicit = session = recorder.new_session(recorder, self.name)
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

    # -- its values -------------------------------------------------------------------------

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
    ) -> Self:
        """Add to the span: dicts merge key by key, ``inputs`` and ``outputs`` replace.

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

    def _check_name(self, name: object) -> str:
        """A name that was not checked yet, as text of bounded length."""
        text = name_of(name)
        clean_texts = self.recorder.clean_texts
        if clean_texts.needs_masking((text,)):
            self._needs_redaction = True
        elif len(clean_texts.span_names) < _NAMES_MAX:
            clean_texts.span_names.add(text)
        return text

    def _check_text(self, text: str) -> None:
        """Check a text that goes into the record as it is."""
        if self.recorder.clean_texts.needs_masking((text,)):
            self._needs_redaction = True

    def set_error(self, error: str) -> None:
        """Mark the event as failed, with this message."""
        self._all_parts()["error"] = error
        self._check_text(error)

    def field_group(self, group: str) -> Mapping[str, Any] | None:
        """The values of one group ("metadata", ...) so far; None when the group was never set."""
        return None if self._parts is None else self._parts.get(group)

    def lacks(self, field: str) -> bool:
        """Whether "inputs" or "outputs" were never set."""
        if field == "inputs":
            return self._inputs is None or self._inputs is NO_INPUTS
        return self._outputs is None

    def _all_parts(self) -> dict[str, Any]:
        """The groups of fields but inputs and outputs, and the error; to write to."""
        if self._parts is None:
            self._parts = {}
        return self._parts

    def _own_group(self, group: str) -> dict[str, Any]:
        """One group of fields, to write to."""
        if self._parts is None:  # as `_all_parts`, without the call
            self._parts = {}
        values: dict[str, Any] = self._parts.setdefault(group, {})
        return values

    def merge_stream(self, parts: Mapping[str, Any], *, replace: bool) -> None:
        """Add what a stream came to: its outputs, encoded, and its values of other groups.

        ``replace``: the outputs take the place of others; else they only fill an empty place.
        """
        for group, values in parts.items():
            if group != "outputs":
                self.merge(group, values)
            elif replace or self._outputs is None:
                self._outputs = values
                self._needs_redaction = True

    def merge(self, group: str, values: Mapping[str, object]) -> None:
        """Add values to one group of fields; those of the same key are replaced."""
        own = self._own_group(group)
        try:
            if type(values) is dict and CLEAN_KEYS.issuperset(values) and self._are_scalars(values):
                own.update(values)
            else:
                self._merge_any(own, _pairs_of(values))
        except Exception as error:  # not a mapping
            raise_if_from_signal(error)
            own["_unencodable"] = short_text(values)
            self._needs_redaction = True

    def _are_scalars(self, values: dict[Any, object]) -> bool:
        """Whether all are scalars that go into the record as they are; checks the texts."""
        clean = self.recorder.clean_texts.hashes
        for value in values.values():
            kind = type(value)
            if kind is str:
                if len(value) > _RAW_TEXT_MAX:  # type: ignore[arg-type]
                    return False
                if hash(value) not in clean:
                    self._check_text(value)  # type: ignore[arg-type]
            elif not (kind is int or kind is float or kind is bool or value is None):
                return False
        return len(values) <= _KEYS_MAX

    def _merge_any(self, own: dict[str, Any], values: dict[str, object]) -> None:
        clean_texts = self.recorder.clean_texts
        pairs = dict.items(values)
        count = dict.__len__(values)
        for key, value in pairs if count <= _KEYS_MAX else islice(pairs, _KEYS_MAX):
            kind = type(value)
            if kind is str and len(value) <= _RAW_TEXT_MAX:  # type: ignore[arg-type]
                if hash(value) not in clean_texts.hashes:
                    self._check_text(value)  # type: ignore[arg-type]
            elif not (kind is int or kind is float or kind is bool or value is None):
                encoded, needs_redaction = encode_and_check(value, clean_texts)
                if needs_redaction:
                    self._needs_redaction = True
                value = _Fragment(encoded)
            own[name_of(key)] = value
        if not CLEAN_KEYS.issuperset(own) and not all_keys_clean(own):
            self._needs_redaction = True
        if count > _KEYS_MAX:
            own["…"] = omitted(count - _KEYS_MAX, "keys")

    def _record_failure(self, error: BaseException, tb: TracebackType | None) -> None:
        try:
            if isinstance(error, GeneratorExit):
                return
            if is_cancelled(error):
                self.merge("metadata", {"cancelled": True})
                return
            self.set_error(summary(error))
            self.merge("metadata", {"error": describe(error, tb)})
        except Exception as error:
            raise_if_from_signal(error)
            self._all_parts().setdefault("error", kind_name(type(error)))

    # -- the record -------------------------------------------------------------------------

    def _emit(self, recorder: TracerState, end: int) -> None:
        session = self.session
        if session.skip_reason is not None:
            if session.skip_reason:
                recorder.drop(session.skip_reason)
            return
        parent = self.parent
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


def _is_skipped(handle: Handle | None) -> bool:
    """Whether what begins here is not recorded."""
    return handle is not None and handle.session.skip_reason is not None


def _open_ancestor(handle: Handle | None) -> Handle | None:
    """The nearest that is open: else a chain of tasks, each born in the last, would be kept."""
    while handle is not None and handle.state == ENDED:
        handle = handle.parent
    return handle


def _pairs_of(values: object) -> dict[str, object]:
    """A dict, or a dict read from a mapping of another class without running the user's code."""
    if issubclass(type(values), dict):
        return values  # type: ignore[return-value]
    plain = BoundedWalker().plain(values)
    if type(plain) is not dict:
        raise TypeError(f"not a mapping of a known class: {kind_name(type(values))}")
    return plain


def _type_of(type_: object) -> str:
    if isinstance(type_, str) and type_ in _TYPES:
        return str.__str__(type_)
    log_once(
        "span:type",
        "span type %s is unknown, recorded as 'chain'; use chain, model or tool",
        text_of(type_, 80),
    )
    return "chain"
