"""Live handles: Span, one step that is still running; used in the user's thread, in their task.

A handle is entered and left without waiting, holds no lock across user code and keeps only encoded
snapshots of what it was given. Invariant: in whatever order and task a handle is entered and left,
it gives at most one event, and leaving it raises nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from sessiontrace.capture.encoding.encoder import encode_and_check, examine_object
from sessiontrace.capture.encoding.exceptions import describe, is_cancelled, summary
from sessiontrace.capture.encoding.record_parts import EVENT_MAX, redact_and_bound
from sessiontrace.capture.encoding.safe_text import cut, kind_name, more, text_of
from sessiontrace.capture.hot import quick, step
from sessiontrace.capture.redaction.key_names import KNOWN, all_keys_clean
from sessiontrace.model.ids import now_ns, stamp
from sessiontrace.runtime.log import log_once

if TYPE_CHECKING:
    from typing_extensions import Self

    from sessiontrace.capture.session import Session
    from sessiontrace.capture.tracer_state import TracerState

__all__ = ["EVENT_MAX", "NO_INPUTS", "UNSET", "Span", "name_of"]

CHILDREN_MAX = 10_000

UNSET: Any = object()
"""Tells "not given" from None, which is a value a function may return."""

_NAME_MAX = 512
_NAMES_MAX = 1_000  # to be remembered
_KEYS_MAX = 1_000  # of one dict given to `set`
_RAW_TEXT_MAX = 1_000  # a shorter text goes into the record as it is

_TYPES = ("chain", "model", "tool", "session")
_NEW, _OPEN, _ENDED = 0, 1, 2

NO_INPUTS = b"{}"

_Fragment = orjson.Fragment


def name_of(given: object) -> str:
    """A name as text of bearable length."""
    if type(given) is str and len(given) <= _NAME_MAX:
        return given
    return cut(given, _NAME_MAX) if type(given) is str else text_of(given, _NAME_MAX)


class Span:
    """One step of a session. Use it with ``with`` or ``async with``; ``set`` may be called inside.

    ``event_id``: UUID string, fixed when the span opens (empty before). ``name``, ``type``: as
    given; type is "chain", "model" or "tool".
    """

    __slots__ = (
        "__weakref__",
        "_children",
        "_children_gone",
        "_implicit",
        "_inputs",
        "_needs_redaction",
        "_outputs",
        "_parent",
        "_parts",
        "_recorder",
        "_session",
        "_start",
        "_state",
        "event_id",
        "name",
        "type",
    )

    # Set beside that class: to import it when it is needed fails in a `__del__` at exit.
    _session_kind: ClassVar[type[Session]]

    _recorder: TracerState
    _parent: Span | None
    _session: Session
    _start: int

    def __init__(
        self,
        recorder: TracerState,
        name: str,
        type: str = "chain",
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        self._recorder = recorder
        self._state = _NEW
        self._children: list[str] | None = None
        self._children_gone = 0
        self._implicit: Session | None = None
        self._needs_redaction = False  # a text or a key was given that may have to be masked
        self._inputs: bytes | None = NO_INPUTS  # both encoded; None: left out, or after the end
        self._outputs: bytes | None = None
        self._parts: dict[str, Any] | None = None  # the other buckets, and the error
        self.event_id = ""
        # A new name is looked at once; `__class__` may lie, but then the name is not among those.
        seen = name.__class__ is str and name in recorder.harmless.names
        self.name = name if seen else self._new_name(name)
        self.type = type if type.__class__ is str and type in _TYPES else _type_of(type)
        if inputs is not None and recorder.capture:
            if recorder.skips and _is_skipped(recorder.current.get()):
                self._inputs = None
            else:
                self._inputs = self._encoded(inputs, "input")
        if config is not None:
            self._merge("config", config)
        if metadata is not None:
            self._merge("metadata", metadata)

    @property
    def session_id(self) -> str:
        """The UUID of the session this span belongs to; empty before the span opens."""
        return self._session.session_id if self._state else ""

    def __repr__(self) -> str:
        state = ("new", "open", "ended")[self._state]
        return f"<sessiontrace {kind_name(type(self))} {self.name!r} {self.event_id} {state}>"

    # -- entering and leaving ---------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._state == _NEW:
            current = self._recorder.current
            self._open(current.get())
            current.set(self)
        return self  # entered twice: the first entering counts

    def _open(self, parent: Span | None) -> None:
        """Begin below ``parent``, without becoming the current handle."""
        recorder = self._recorder
        if self._inputs is None and not _is_skipped(parent):  # it was made in another session
            self._inputs = NO_INPUTS
            self._merge("metadata", {"inputs_left_out": "given in a session that is not recorded"})
        if parent is None:
            parent = self._open_implicit_session()
        elif parent._recorder is not recorder and not parent._recorder.inert:
            self._recorder = parent._recorder
            self._needs_redaction = True  # so far the other one looked
        self._parent = parent
        self._session = parent._session
        self._start, event_id = stamp()
        self.event_id = event_id
        children = parent._children
        if parent._state == _ENDED:  # a task that outlived it: its record is written already
            pass
        elif children is None:
            parent._children = [event_id]
        elif len(children) < CHILDREN_MAX:
            children.append(event_id)
        else:
            parent._children_gone += 1
        self._state = _OPEN

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            if exc is not None and self._state == _OPEN:
                self._fail(exc, tb)
            self._end(True)
        except RecursionError:  # the user's stack is full: no room for a record, but for order
            self._state = _ENDED
            self._recorder.current.set(self._parent)

    def _restore_context(self, here: Span | None) -> None:
        """Handles that were entered in here and never left are not current outside."""
        while here is not None:
            here = here._parent
            if here is self:
                self._recorder.current.set(self._parent)
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

    def _end_with(self, result: object) -> None:
        """``set`` and ``end`` for what a traced function returned, without the calls."""
        recorder = self._recorder
        skips = recorder.skips and self._session._skipped is not None
        if self._state == _OPEN and recorder.capture and not skips:
            self._outputs = self._encoded(result, "result")
        self._end(False)

    def _end(self, leaving: bool) -> None:
        recorder = self._recorder
        if self._state != _OPEN:
            if leaving and self._state == _ENDED:
                self._restore_context(recorder.current.get())
            return
        self._state = _ENDED  # right after the look, where no other thread can come between
        try:
            if not recorder.inert:
                self._emit(recorder, now_ns())
            if self._implicit is not None:
                self._end_implicit_session(self._implicit)
        except Exception:
            recorder.drop("encode_error")
        finally:  # also when Ctrl-C or a signal's exception comes in the middle
            parent = self._parent
            if parent is not None and parent._state == _ENDED:
                self._parent = parent = _open_ancestor(parent)
            current = recorder.current
            here = current.get()
            if here is self:
                current.set(parent)
            elif leaving:  # in another task, or out of order
                self._restore_context(here)
            self._inputs = self._outputs = self._parts = None

    def _open_implicit_session(self) -> Session:
        self._implicit = session = self._session_kind(self._recorder, self.name)
        session._inputs = self._inputs
        session._needs_redaction |= self._needs_redaction
        session._open(None)
        return session

    def _end_implicit_session(self, session: Session) -> None:
        session._inputs, session._outputs = self._inputs, self._outputs
        if self._parts is not None:
            if "error" in self._parts:
                session._field_group()["error"] = self._parts["error"]
            metadata = self._parts.get("metadata", {})
            told = {name: metadata[name] for name in ("error", "cancelled") if name in metadata}
            if told:
                session._field_group("metadata").update(told)
        session._needs_redaction |= self._needs_redaction
        session.end()

    # -- what it holds ----------------------------------------------------------------------

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
        if self._state == _ENDED:
            return self
        recorder = self._recorder
        if recorder.skips and self._state == _OPEN and self._session._skipped is not None:
            return self
        if outputs is not UNSET and recorder.capture:
            self._outputs = self._encoded(outputs, "result")
        if inputs is not None and recorder.capture:
            self._inputs = self._encoded(inputs, "input")
        if config is not None:
            self._merge("config", config)
        if metadata is not None:
            self._merge("metadata", metadata)
        if metrics is not None:
            self._merge("metrics", metrics)
        if feedback is not None:
            self._merge("feedback", feedback)
        if user_properties is not None:
            self._merge("user_properties", user_properties)
        return self

    def _encoded(self, value: object, key: str) -> bytes:
        """An object's bytes; what is none becomes ``{key: value}``."""
        harmless = self._recorder.harmless
        if (quickly := quick(value, harmless)) is not None:
            return quickly
        encoded, doubtful = examine_object(value, key, harmless)
        if doubtful:
            self._needs_redaction = True
        return encoded

    def _new_name(self, name: object) -> str:
        """A name that nobody has looked at yet, as text of bearable length."""
        text = name_of(name)
        harmless = self._recorder.harmless
        if harmless.needs_masking((text,)):
            self._needs_redaction = True
        elif len(harmless.names) < _NAMES_MAX:
            harmless.names.add(text)
        return text

    def _doubt(self, text: str) -> None:
        """Look at a text that goes into the record as it is."""
        if self._recorder.harmless.needs_masking((text,)):
            self._needs_redaction = True

    def _set_error(self, error: str) -> None:
        """The event failed: ``error`` tells how."""
        self._field_group()["error"] = error
        self._doubt(error)

    def _field_group(self, part: str | None = None) -> dict[str, Any]:
        """What is held under the name of a part; without one, all parts but inputs and outputs."""
        if self._parts is None:
            self._parts = {}
        if part is None:
            return self._parts
        held: dict[str, Any] = self._parts.setdefault(part, {})
        return held

    def _merge(self, part: str, values: Mapping[str, object]) -> None:
        held = self._field_group(part)
        try:
            if type(values) is dict and KNOWN.issuperset(values) and self._takes(values):
                held.update(values)
            else:
                self._merge_any(held, values)
        except Exception:  # not a mapping, or one that fails when read
            held["_unencodable"] = text_of(values)
            self._needs_redaction = True

    def _takes(self, values: dict[Any, object]) -> bool:
        """Whether all are scalars that go into the record as they are; texts are looked at."""
        known = self._recorder.harmless.known
        for value in values.values():
            kind = type(value)
            if kind is str:
                if len(value) > _RAW_TEXT_MAX:  # type: ignore[arg-type]
                    return False
                if hash(value) not in known:
                    self._doubt(value)  # type: ignore[arg-type]
            elif not (kind is int or kind is float or kind is bool or value is None):
                return False
        return len(values) <= _KEYS_MAX

    def _merge_any(self, held: dict[str, Any], values: Mapping[str, object]) -> None:
        harmless = self._recorder.harmless
        pairs = values.items()
        for key, value in pairs if len(values) <= _KEYS_MAX else islice(pairs, _KEYS_MAX):
            kind = type(value)
            if kind is str and len(value) <= _RAW_TEXT_MAX:  # type: ignore[arg-type]
                if hash(value) not in harmless.known:
                    self._doubt(value)  # type: ignore[arg-type]
            elif not (kind is int or kind is float or kind is bool or value is None):
                encoded, doubtful = encode_and_check(value, harmless)
                if doubtful:
                    self._needs_redaction = True
                value = _Fragment(encoded)
            held[name_of(key)] = value
        if not KNOWN.issuperset(held) and not all_keys_clean(held):
            self._needs_redaction = True
        if len(values) > _KEYS_MAX:
            held["…"] = more(len(values) - _KEYS_MAX, "keys")

    def _fail(self, error: BaseException, tb: TracebackType | None) -> None:
        try:
            if isinstance(error, GeneratorExit):
                return
            if is_cancelled(error):
                self._merge("metadata", {"cancelled": True})
                return
            self._set_error(summary(error))
            self._merge("metadata", {"error": describe(error, tb)})
        except Exception:
            self._field_group().setdefault("error", kind_name(type(error)))

    # -- the record -------------------------------------------------------------------------

    def _emit(self, recorder: TracerState, end: int) -> None:
        session = self._session
        if session._skipped is not None:
            if session._skipped:
                recorder.drop(session._skipped)
            return
        parent = self._parent
        encoded = step(
            self.event_id,
            session._session_id,
            session.event_id if parent is None else parent.event_id,
            self.type,
            session.source,
            self._start,
            end,
            self.name,
            self._payload() if self._children_gone else self._parts,
            self._children,
            self._inputs,
            self._outputs,
        )
        if self._needs_redaction or len(encoded) > EVENT_MAX:
            encoded = redact_and_bound(encoded, recorder.redact, self._needs_redaction)
        recorder.offer(session._heads.event, encoded)

    def _payload(self) -> dict[str, Any]:
        """All parts, and how many children are not listed."""
        parts = {} if self._parts is None else self._parts
        if not self._children_gone:
            return parts
        gone = {"children_truncated": self._children_gone}
        return {**parts, "metadata": {**parts.get("metadata", {}), **gone}}


def _is_skipped(here: Span | None) -> bool:
    """Whether what begins here is not recorded."""
    return here is not None and here._session._skipped is not None


def _open_ancestor(span: Span | None) -> Span | None:
    """The nearest that is still open; a chain of tasks, each born in the last, must not be kept."""
    while span is not None and span._state == _ENDED:
        span = span._parent
    return span


def _type_of(given: object) -> str:
    if isinstance(given, str) and given in _TYPES:
        return str.__str__(given)
    log_once(
        "span:type",
        "span type %s is unknown, recorded as 'chain'; use chain, model or tool",
        text_of(given, 80),
    )
    return "chain"
