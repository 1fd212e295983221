"""The handles that record nothing themselves: remote span and suppressed scope.

A scope belongs to one task: while it is entered it is the current handle, and decides what becomes
of the spans inside. Invariant: they take every call that a span or session takes, and leave no
record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from sessiontrace.capture.handle import (
    ENDED,
    NEW,
    OPEN,
    STATE_NAMES,
    SUPPRESSED,
    Handle,
    SessionHandle,
)
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.ids import new_id
from sessiontrace.model.later_types import SELF, later
from sessiontrace.runtime.signals import without_entry_check

if TYPE_CHECKING:
    from typing_extensions import Self

    from sessiontrace.capture.frame_headers import FrameHeaders
else:
    Self = SELF
    FrameHeaders = later("sessiontrace.capture.frame_headers", "FrameHeaders")

__all__ = ["NonRecordingScope", "RemoteSpan", "SuppressedScope"]

F = TypeVar("F", bound=Callable[..., Any])


class NonRecordingScope:
    """The current handle while it is entered, and the session of the spans inside.

    Use it with ``with`` or ``async with``. ``skip_reason``: why the spans inside are not recorded;
    None when they are.
    """

    __slots__ = (
        "__weakref__",
        "children_ids",
        "children_omitted",
        "conversation_id",
        "event_id",
        "frame_headers",
        "name",
        "offset_ns",
        "parent",
        "recorder",
        "session",
        "session_id",
        "skip_reason",
        "source",
        "start_ns",
        "state",
        "to",
        "trace_id",
        "type",
    )

    def __init__(self, recorder: TracerState, name: str, session_id: str, event_id: str) -> None:
        new_id()  # not used; the ids that follow in a user's pinned test are counted with it
        self.recorder: TracerState = recorder
        self.name: str = name
        self.type: str = "session"
        self.state: int = NEW
        self.session_id: str = session_id
        self.event_id: str = event_id
        self.parent: Handle | None = None
        self.session: SessionHandle = self
        self.source: str = recorder.source
        self.start_ns: int = 0  # no record needs the times
        self.offset_ns: int = 0
        self.children_ids: list[str] | None = None
        self.children_omitted: int = 0
        self.conversation_id: str | None = None
        self.trace_id: str | None = None
        self.to: list[str] | None = None
        self.frame_headers: FrameHeaders = recorder.frame_headers
        self.skip_reason: str | None = None

    def __repr__(self) -> str:
        state = STATE_NAMES[self.state]
        return f"<sessiontrace {type(self).__name__} {self.name!r} {self.event_id} {state}>"

    def skip(self, reason: str) -> None:
        """Record nothing of what is inside, for this reason."""
        self.skip_reason = reason
        self.recorder.skips = True

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    # -- entering and leaving ---------------------------------------------------------------

    def __enter__(self) -> Self:
        if self.state == NEW:
            current = self.recorder.current
            try:
                self.open(current.get())
                current.set(self)
            except BaseException:  # a signal's: the block does not begin
                self.__exit__(None, None, None)
                raise
        return self

    def open_here(self) -> bool:
        """Open below what is current, without becoming it; True: what is inside belongs to it."""
        self.open(self.recorder.current.get())
        return True

    def open(self, parent: Handle | None) -> None:
        """Begin below ``parent``, without becoming the current handle."""
        self.parent = parent
        self.state = OPEN

    @without_entry_check
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.state == OPEN:
            self.state = ENDED
            try:
                self.step_out()
            except BaseException:  # a signal's: the scope is left all the same
                self.step_out()
                raise

    def step_out(self) -> None:
        """Restore what was current before."""
        current = self.recorder.current
        if current.get() is self:
            current.set(self.parent)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    @without_entry_check
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, tb)

    def end(self, *, outputs: object = None, error: object = None) -> None:
        """Leave the scope."""
        self.__exit__(None, None, None)

    def end_with(self, result: object) -> None:
        """Leave the scope."""
        self.__exit__(None, None, None)

    # -- values, which have no record to go into --------------------------------------------

    def set(self, **parts: Any) -> Self:
        """Does nothing; returns the scope."""
        return self

    def put(self, group: str, name: str, value: str) -> None:
        """Does nothing."""

    def merge(self, group: str, values: Mapping[str, object]) -> None:
        """Does nothing."""

    def merge_stream(self, parts: Mapping[str, Any], *, replace: bool) -> None:
        """Does nothing."""

    def set_error(self, error: str) -> None:
        """Does nothing."""

    def add_note(self, note: dict[str, Any]) -> None:
        """Does nothing."""

    def field_group(self, group: str) -> Mapping[str, Any] | None:
        """None: a scope has no values."""
        return None

    def lacks(self, field: str) -> bool:
        """True: a scope has no values."""
        return True


class RemoteSpan(NonRecordingScope):
    """A span of another process, as the parent of what happens here.

    Use it with ``with`` or ``async with``, or as ``parent=`` of ``start_span``. ``sampled``: False
    when the other process does not record the session. ``to``: the names of its destinations.
    ``trace_id``: see ``Session``.
    """

    __slots__ = ()

    def __init__(
        self,
        recorder: TracerState,
        session_id: str,
        event_id: str,
        *,
        sampled: bool,
        to: list[str] | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(recorder, "remote", session_id, event_id)
        self.to = to
        self.trace_id = trace_id
        if not sampled:
            self.skip("sampled")
        if to is not None and recorder.route is not None:
            frame_headers = recorder.route(tuple(to))
            if frame_headers is None:
                self.skip("unrouted")
            else:
                self.frame_headers = frame_headers

    def __call__(self, fn: F) -> F:
        """As a decorator: each call of ``fn`` runs below the remote span."""
        from sessiontrace.capture.decorators.block import traced_block

        sampled = self.skip_reason != "sampled"
        return traced_block(
            lambda: RemoteSpan(
                self.recorder,
                self.session_id,
                self.event_id,
                sampled=sampled,
                to=self.to,
                trace_id=self.trace_id,
            ),
            fn,
        )


class SuppressedScope(NonRecordingScope):
    """``with suppress():`` (or ``async with``, or a decorator): nothing inside is recorded.

    Whatever opens inside is silent and not counted, in whatever task or thread it runs.
    """

    __slots__ = ()

    def __init__(self, recorder: TracerState) -> None:
        super().__init__(recorder, "suppressed", "", "")
        self.skip(SUPPRESSED)

    def __call__(self, fn: F) -> F:
        """As a decorator: nothing inside any call of ``fn`` is recorded."""
        from sessiontrace.capture.decorators.block import traced_block

        return traced_block(lambda: SuppressedScope(self.recorder), fn)
