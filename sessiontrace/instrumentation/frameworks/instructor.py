"""Instructor: each answer that has to fit a type is a step around its attempts.

Instructor asks the model again, with what was wrong, until the answer fits. The function that does
so is wrapped; Instructor's own hooks say what was wrong. The attempts' model calls are recorded by
their SDKs, inside of the step. Runs inside the calls. Invariant: an attempt that did not fit is no
error of the step when a later one does.
"""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_steps import MethodSteps, Run
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.response_fields import get_field, without_none

_ITEMS_MAX = 1_000
_MESSAGES = ("messages", "contents", "chat_history", "input")


class Instructor:
    """The instrumentor of instructor."""

    def __init__(self) -> None:
        self._steps = MethodSteps("instructor")
        self._hooks: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap both functions, where the patched clients call them."""
        from instructor.v2.core.hooks import Hooks

        self._hooks = Hooks
        self._steps.start(calls)
        for name in ("retry_sync_v2", "retry_async_v2"):
            self._steps.patch(module, name, self._open)

    def uninstall(self) -> None:
        """Put the functions back."""
        self._steps.stop()

    def _open(self, calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
        model = options.get("response_model")
        if model is None:  # the plain call
            return None
        name = str(getattr(model, "__name__", model))
        request = options.get("kwargs") or {}
        retries = options.get("max_retries")
        config = {
            "response_model": name,
            "mode": str(get_field(options.get("mode"), "value")),
            "max_retries": retries if isinstance(retries, int) else None,
            "model": request.get("model"),
        }
        messages = next((request[key] for key in _MESSAGES if key in request), None)
        span = calls.chain(
            name, inputs=without_none({"chat_history": messages}), config=without_none(config)
        )
        if span is None:
            return None
        run = Extraction(span, is_partial=hasattr(model, "get_partial_model"))
        hooks = self._hooks()
        hooks.on("completion:kwargs", run.attempted)
        hooks.on("parse:error", run.failed)
        theirs = options.get("hooks")
        options["hooks"] = hooks if theirs is None else theirs + hooks
        return run


ENTRY = Entry(name="instructor", target="instructor.v2.core.patch", make=Instructor)


class Extraction(Run):
    """One answer that has to fit, with its attempts.

    ``is_partial``: its stream gives the same object again and again, with more fields each time.
    """

    def __init__(self, span: Span, *, is_partial: bool) -> None:
        super().__init__(span)
        self._is_partial = is_partial
        self._attempts = 0
        self._errors: list[str] = []
        self._items: list[Any] = []

    def attempted(self, *args: Any, **options: Any) -> None:
        """The model is asked, for the first time or again."""
        self._attempts += 1

    def failed(self, error: Exception, **options: Any) -> None:
        """An answer did not fit."""
        self._errors.append(str(error))

    def finish(self, result: Any) -> None:
        """The object that fits; in a stream that is read at once, all its states or all objects."""
        if self._is_partial and isinstance(result, list):
            result = result[-1] if result else None
        self.span.set(outputs=_plain(result))
        self.close()

    def see(self, item: Any) -> None:
        """An object of a stream."""
        if self._is_partial:
            self._items.clear()
        if len(self._items) < _ITEMS_MAX:
            self._items.append(item)

    def close(self) -> None:
        """What the attempts came to."""
        if self._items:
            items = [_plain(item) for item in self._items]
            self.span.set(outputs=items[-1] if self._is_partial else items)
        errors = {"validation_errors": self._errors or None}
        self.span.set(metadata=without_none({"attempts": self._attempts, **errors}))


def _plain(result: Any) -> Any:
    if hasattr(result, "model_dump") and not inspect.isclass(result):
        return result.model_dump(mode="json")
    return [_plain(item) for item in result] if isinstance(result, list) else result
