"""The span of a session that is not recorded; in the user's thread.

It reads no clock, encodes no inputs, and makes its id when something asks for it. Invariant: it
counts, nests and ends as a ``Span`` of such a session does, and opened elsewhere it becomes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.handle import NEW, OPEN, Handle, SessionHandle
from sessiontrace.capture.span import NO_INPUTS, Span
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.ids import new_id
from sessiontrace.model.later_types import SELF
from sessiontrace.model.step_types import SPAN_TYPES
from sessiontrace.runtime.signals import without_entry_check

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = SELF

__all__ = ["UnrecordedSpan"]

_stored_id: Any = vars(Span)["event_id"]


class UnrecordedSpan(Span):
    """A span that is created where the current session is not recorded."""

    __slots__ = ()

    recorder: TracerState
    parent: Handle | None
    session: SessionHandle
    state: int
    start_ns: int
    offset_ns: int
    children_ids: list[str] | None
    children_omitted: int
    name: str
    type: str

    def __init__(
        self,
        recorder: TracerState,
        name: str,
        type: str = "chain",
        inputs: object = None,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        if (
            name.__class__ is str
            and name in recorder.clean_texts.span_names
            and type.__class__ is str
            and type in SPAN_TYPES
        ):
            self.recorder = recorder
            self.state = NEW
            self.children_ids = None
            self.children_omitted = 0
            self._implicit = None
            self._needs_redaction = False
            self._inputs = NO_INPUTS
            self._outputs = None
            self._parts = None
            self.name = name
            self.type = type
        else:
            super().__init__(recorder, name, type)
        if inputs is not None and recorder.capture:
            self._inputs = None
        if config is not None:
            self.merge("config", config)
        if metadata is not None:
            self.merge("metadata", metadata)

    @property
    def event_id(self) -> str:
        """UUID string; empty before the span opens."""
        try:
            event_id: str = _stored_id.__get__(self)
        except AttributeError:
            event_id = ""
        if not event_id and self.state != NEW:
            event_id = new_id()
            _stored_id.__set__(self, event_id)
        return event_id

    @event_id.setter
    def event_id(self, event_id: str) -> None:
        _stored_id.__set__(self, event_id)

    def open(self, parent: Handle | None) -> None:
        """Begin below ``parent``, without becoming the current handle."""
        if (
            parent is None
            or parent.state != OPEN
            or parent.recorder is not self.recorder
            or parent.session.skip_reason is None
        ):
            self.event_id = ""
            self.__class__ = Span  # type: ignore[assignment]  # its layout is the same
            self.open(parent)
            return
        self.parent = parent
        self.session = parent.session
        self.start_ns = self.offset_ns = 0
        self.state = OPEN

    def set(self, **parts: Any) -> Self:
        """Nothing changes once the span is open. Returns the span."""
        return self if self.state != NEW else super().set(**parts)

    @without_entry_check
    def end_with(self, result: object) -> None:
        """``end``, without the result."""
        self._end(False)
