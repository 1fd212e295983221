"""The end of a handle in which a signal handler raises: the record is completed all the same.

Runs in the user's thread. Where a signal handler may raise, see ``runtime.signals``: the functions
that end a handle begin without a check for signals, and what comes out of their bodies arrives
here. Invariant: a handle whose block began ends with its one record and leaves no context behind,
whatever a handler raised on the way.
"""

from __future__ import annotations

from sessiontrace.capture.handle import OPEN, Handle, ImplicitSession, SessionHandle
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.model.ids import now_by
from sessiontrace.runtime.signals import is_from_signal, without_entry_check

__all__ = ["InterruptibleEnd"]

_INTERRUPTIONS_MAX = 20  # of one end


class InterruptibleEnd:
    """The parts of a handle's end that run only after an interruption."""

    __slots__ = ()

    recorder: TracerState
    parent: Handle | None
    session: SessionHandle
    offset_ns: int
    _implicit: ImplicitSession | None

    def _end(self, leaving: bool) -> None:
        raise NotImplementedError

    def _emit(self, recorder: TracerState, end: int) -> None:
        raise NotImplementedError

    def _end_implicit_session(self, session: ImplicitSession) -> None:
        raise NotImplementedError

    @without_entry_check
    def _end_again(self, error: BaseException) -> None:
        """Leave a block after all whose leaving raised ``error``, which goes on then."""
        for _ in range(_INTERRUPTIONS_MAX):
            try:
                if self._is_ours(error):
                    self.recorder.drop("encode_error")
                    self._end(True)
                    return
                self._end(True)
                break
            except BaseException as other:
                error = other
        raise error

    @without_entry_check
    def _emit_again(self, recorder: TracerState, end: int, error: BaseException) -> None:
        """Count what failed in our own work; finish what a signal interrupted, then raise it."""
        for _ in range(_INTERRUPTIONS_MAX):
            try:
                if self._is_ours(error):
                    recorder.drop("encode_error")
                    return
                if not recorder.inert:
                    if (reason := self.session.skip_reason) is None:
                        self._emit(recorder.unless_taken(), end or now_by(self.offset_ns))
                    elif reason:
                        recorder.drop(reason)
                if self._implicit is not None and self._implicit.state == OPEN:
                    self._end_implicit_session(self._implicit)
                break
            except BaseException as other:
                error = other
        raise error

    def _end_inside(self, here: Handle | None) -> None:
        """End the handles inside whose own leaving a signal's exception prevented."""
        inside, own = [], id(self)
        while here is not None and id(here) != own:
            inside.append(here)
            here = here.parent
        if here is not None:
            for handle in inside:
                handle.end()

    @staticmethod
    def _is_ours(error: BaseException) -> bool:
        """Whether our own work failed."""
        return isinstance(error, Exception) and not is_from_signal(error)
