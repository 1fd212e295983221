"""What every module of capture knows of a span or a session: its states and its protocol.

This is the lowest module of ``capture``: the tracer state types its context variable by ``Handle``,
and streams, decorators and instrumentors take any handle. Handles are used in users' threads
without a lock. Invariant: the state of a handle only goes up, from NEW to OPEN to ENDED.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from sessiontrace.capture.frame_headers import FrameHeaders

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = [
    "ENDED",
    "NEW",
    "OPEN",
    "STATE_NAMES",
    "SUPPRESSED",
    "UNSET",
    "Handle",
    "ImplicitSession",
    "SessionHandle",
]

# Plain numbers: to compare a member of an Enum costs three times as much.
NEW: Final = 0
OPEN: Final = 1
ENDED: Final = 2

STATE_NAMES: Final = ("new", "open", "ended")

SUPPRESSED: Final = ""
"""The ``skip_reason`` of what runs inside ``suppress()``: nothing is recorded or counted."""

UNSET: Any = object()
"""The default of ``outputs``, where None is a value that a function may return."""


class Handle(Protocol):
    """A span or session that can be the current one, as the package sees it.

    ``state``: NEW, OPEN or ENDED. ``recorder``: its TracerState, which has this protocol in its
    types and so cannot be named here. ``parent`` and ``session``: set once it is open.
    ``start_ns``: when it opened, by the package's clock, and ``offset_ns``: the offset of that
    clock (see ``model.ids``). ``children_ids``: the events below it,
    None when there are none; ``children_omitted``: how many more there are.
    """

    event_id: str
    name: str
    type: str
    state: int
    recorder: Any
    parent: Handle | None
    session: SessionHandle
    start_ns: int
    offset_ns: int
    children_ids: list[str] | None
    children_omitted: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: builtins.type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...

    def open(self, parent: Handle | None) -> None:
        """Begin below ``parent``, without becoming the current handle."""

    def set(
        self,
        *,
        inputs: object = None,
        outputs: object = ...,
        config: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        metrics: Mapping[str, object] | None = None,
        feedback: Mapping[str, object] | None = None,
        user_properties: Mapping[str, object] | None = None,
        error: str | BaseException | None = None,
    ) -> Self:
        """Add to the event while it is open."""

    def put(self, group: str, name: str, value: str) -> None:
        """Set one value of a group of fields, of the package's own making."""

    def merge(self, group: str, values: Mapping[str, object]) -> None:
        """Add values to one group of fields ("config", "metadata", ...)."""

    def merge_stream(self, parts: Mapping[str, Any], *, replace: bool) -> None:
        """Add what a stream came to; its outputs are encoded. ``replace``: in place of others."""

    def set_error(self, error: str) -> None:
        """Mark the event as failed, with this message."""

    def add_note(self, note: dict[str, Any]) -> None:
        """Add what the program logged to the metadata's ``logs``."""

    def field_group(self, group: str) -> Mapping[str, Any] | None:
        """The values of one group so far; None when the group was never set."""

    def lacks(self, field: str) -> bool:
        """Whether "inputs" or "outputs" were never set."""

    def step_out(self) -> None:
        """Stay open without being current: what the caller does now is not inside."""

    def end(self, *, outputs: object = ...) -> None:
        """End the event."""

    def end_with(self, result: object) -> None:
        """End the event with these outputs."""


class SessionHandle(Handle, Protocol):
    """The handle of a session: what its events need of it.

    ``skip_reason``: why nothing of this session is recorded; None when it is recorded.
    ``conversation_id``: the caller's own id of the session. ``to``: the names of its destinations,
    None for all. ``frame_headers``: those of its route. ``trace_id``: its W3C trace, 32 hex
    digits; None where the trace has the session's id.
    """

    session_id: str
    source: str
    skip_reason: str | None
    conversation_id: str | None
    trace_id: str | None
    to: list[str] | None
    frame_headers: FrameHeaders

    def open_here(self) -> bool:
        """Open below what is current, without becoming it; False when tracing is off."""


class ImplicitSession(SessionHandle, Protocol):
    """The session of a span that was opened outside any session."""

    def arguments(self) -> dict[str, Any]:
        """The arguments for another session like this one, without its values."""
        ...

    def values(self) -> tuple[bytes | None, bytes | None, dict[str, Any] | None]:
        """Inputs and outputs, encoded, and the other groups of fields: what ``take_over`` takes."""
        ...

    def take_over(
        self,
        inputs: bytes | None,
        outputs: bytes | None,
        parts: Mapping[str, Any] | None,
        needs_redaction: bool,
    ) -> None:
        """Have these values, encoded already: another handle's, which this one is for."""
