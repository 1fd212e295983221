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

from sessiontrace.capture.encode import Doubtful, examine, examine_object
from sessiontrace.capture.failure import describe, is_cancelled, summary
from sessiontrace.capture.keys import KNOWN, vetted
from sessiontrace.capture.parts import EVENT_MAX, compose
from sessiontrace.capture.text import cut, kind_name, more, text_of
from sessiontrace.ids import new_id, now_ns
from sessiontrace.log import tell

if TYPE_CHECKING:
    from typing_extensions import Self

    from sessiontrace.capture.recorder import Recorder
    from sessiontrace.capture.session import Session

__all__ = ["EVENT_MAX", "UNSET", "Span", "name_of"]

CHILDREN_MAX = 10_000

UNSET: Any = object()
"""Tells "not given" from None, which is a value a function may return."""

_NAME_MAX = 512
_KEYS_MAX = 1_000  # of one dict given to `set`
_RAW_TEXT_MAX = 1_000  # a shorter text goes into the record as it is

_TYPES = ("chain", "model", "tool", "session")
_NEW, _OPEN, _ENDED = 0, 1, 2

_Fragment = orjson.Fragment
_NO_INPUTS = _Fragment(b"{}")


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
        "_doubtful",
        "_implicit",
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

    _recorder: Recorder
    _parent: Span | None
    _session: Session
    _start: int

    def __init__(
        self,
        recorder: Recorder | None,
        name: str,
        type: str = "chain",
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        if recorder is not None:  # a session finds its own when it opens
            self._recorder = recorder
        self._state = _NEW
        self._children: list[str] | None = None
        self._children_gone = 0
        self._implicit: Session | None = None
        self._doubtful = False  # a key was given that nobody has found harmless
        self._parts: dict[str, Any] = {}
        self.event_id = ""
        self.name = name_of(name)
        self.type = type if isinstance(type, str) and type in _TYPES else _wrong_type(type)
        if inputs is not None and (recorder is None or recorder.capture):
            encoded = examine_object(inputs, "input")
            if isinstance(encoded, Doubtful):
                self._doubtful = True
                encoded = bytes(encoded)
            self._parts["inputs"] = _Fragment(encoded)
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
        if parent is None:
            parent = self._open_implicit_session()
        elif parent._recorder is not recorder and not parent._recorder.inert:
            self._recorder = parent._recorder
        self._start = start = now_ns()
        self._parent = parent
        self._session = parent._session
        self.event_id = event_id = new_id(start)
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
        if self._state == _NEW:
            return
        try:
            if exc is not None and self._state == _OPEN:
                self._fail(exc, tb)
            self.end()
            if self._recorder.current.get() is not self._parent:
                self._leave_inner()
        except RecursionError:  # the user's stack is full: no room for a record, but for order
            self._state = _ENDED
            self._recorder.current.set(self._parent)

    def _leave_inner(self) -> None:
        """Handles that were entered in here and never left are not current outside."""
        current = self._recorder.current
        here = current.get()
        while here is not None:
            here = here._parent
            if here is self:
                current.set(self._parent)
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
        if self._state != _OPEN:
            return
        self._state = _ENDED  # right after the look, where no other thread can come between
        try:
            if not self._recorder.inert:
                self._emit(now_ns())
            if self._implicit is not None:
                self._end_implicit_session(self._implicit)
        except Exception:
            self._recorder.drop("encode_error")
        finally:  # also when Ctrl-C or a signal's exception comes in the middle
            self._leave()

    def _leave(self) -> None:
        """Give the context back, and let go of everything but the way to open ancestors."""
        parent = self._parent
        while parent is not None and parent._state == _ENDED:
            parent = parent._parent
        self._parent = parent  # else a chain of tasks, each born in the last, would never be freed
        current = self._recorder.current
        if current.get() is self:  # else it was left in another task, or out of order
            current.set(parent)
        self._parts = {}

    def _open_implicit_session(self) -> Session:
        self._implicit = session = self._session_kind(self._recorder, self.name)
        if (inputs := self._parts.get("inputs")) is not None:
            session._parts["inputs"] = inputs
            session._doubtful = self._doubtful
        session._open(None)
        return session

    def _end_implicit_session(self, session: Session) -> None:
        for name in ("inputs", "outputs", "error"):
            if name in self._parts:
                session._parts[name] = self._parts[name]
        metadata = self._parts.get("metadata", {})
        told = {name: metadata[name] for name in ("error", "cancelled") if name in metadata}
        if told:
            session._parts["metadata"] = {**session._parts.get("metadata", {}), **told}
        session._doubtful = self._doubtful
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
        if self._captures():
            if inputs is not None:
                self._hold("inputs", examine_object(inputs, "input"))
            if outputs is not UNSET:
                self._hold("outputs", examine_object(outputs, "result"))
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

    def _hold(self, part: str, encoded: bytes) -> None:
        """Keep a part that is encoded already."""
        if isinstance(encoded, Doubtful):
            self._doubtful = True
            encoded = bytes(encoded)
        self._parts[part] = _Fragment(encoded)

    def _captures(self) -> bool:
        """Whether inputs and outputs are wanted."""
        return self._recorder.capture

    def _merge(self, part: str, values: Mapping[str, object]) -> None:
        held = self._parts.get(part)
        if held is None:
            held = self._parts[part] = {}
        try:
            pairs = values.items()
            for key, value in pairs if len(values) <= _KEYS_MAX else islice(pairs, _KEYS_MAX):
                kind = type(value)
                if not (
                    (kind is str and len(value) <= _RAW_TEXT_MAX)  # type: ignore[arg-type]
                    or kind is int
                    or kind is float
                    or kind is bool
                    or value is None
                ):
                    encoded = examine(value)
                    if isinstance(encoded, Doubtful):
                        self._doubtful = True
                        encoded = bytes(encoded)
                    value = _Fragment(encoded)
                held[name_of(key)] = value
            if not KNOWN.issuperset(held) and not vetted(held):
                self._doubtful = True
            if len(values) > _KEYS_MAX:
                held["…"] = more(len(values) - _KEYS_MAX, "keys")
        except Exception:  # not a mapping, or one that fails when read
            held["_unencodable"] = text_of(values)

    def _fail(self, error: BaseException, tb: TracebackType | None) -> None:
        try:
            if isinstance(error, GeneratorExit):
                return
            if is_cancelled(error):
                self._merge("metadata", {"cancelled": True})
                return
            self._parts["error"] = summary(error)
            self._merge("metadata", {"error": describe(error, tb)})
        except Exception:
            self._parts.setdefault("error", kind_name(type(error)))

    # -- the record -------------------------------------------------------------------------

    def _emit(self, end: int) -> None:
        session = self._session
        start = self._start
        parent = self._parent
        body: dict[str, Any] = {
            "event_id": self.event_id,
            "session_id": session._session_id,
            "parent_id": parent.event_id if parent is not None else session.event_id,
            "event_type": self.type,
            "source": session.source,
            "start_time": start // 1_000_000,
            "end_time": end // 1_000_000,
            "duration": (end - start) / 1_000_000,
        }
        self._offer(session._heads.event, body)

    def _offer(self, head: bytes, body: dict[str, Any]) -> None:
        """Complete the record and offer it, unless its session is not recorded."""
        recorder = self._recorder
        if (skipped := self._session._skipped) is not None:
            if skipped:
                recorder.drop(skipped)
            return
        if self._children is not None:
            body["children_ids"] = self._children
        body["event_name"] = self.name
        body["inputs"] = _NO_INPUTS
        body.update(self._parts)
        if self._children_gone:
            gone = {"children_truncated": self._children_gone}
            body["metadata"] = {**body.get("metadata", {}), **gone}
        recorder.offer(head, compose(body, recorder.redact, self._doubtful))


def _wrong_type(given: object) -> str:
    tell(
        "span:type",
        "span type %s is unknown, recorded as 'chain'; use chain, model or tool",
        text_of(given, 80),
    )
    return "chain"
