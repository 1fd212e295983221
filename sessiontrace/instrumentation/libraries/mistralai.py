"""mistralai: chat completions, whole and streamed; its answers are of the chat completions form.

Runs in the thread or task of the call. Invariant: the user's event stream stays the SDK's own.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.response_fields import get_field
from sessiontrace.instrumentation.core.stream_observer import StreamObserver, observed
from sessiontrace.instrumentation.core.stream_proxy import watch_response
from sessiontrace.instrumentation.openai_family.chat_format import (
    ChatAssembler,
    chat_answer,
    chat_request,
)


class MistralAi:
    """The instrumentor of mistralai's ``Chat``."""

    def __init__(self) -> None:
        self._methods = ModelMethods("mistral_ai")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Stand in its four methods; ``parse`` goes through them."""
        self._methods.start(calls)
        adapter = MethodAdapter(_ask, chat_answer, _MistralAssembler, _watch)
        for name in ("complete", "complete_async", "stream", "stream_async"):
            self._methods.patch(module.Chat, name, adapter)

    def uninstall(self) -> None:
        """Put them back."""
        self._methods.stop()


ENTRY = Entry(name="mistralai", target="mistralai.client.chat", make=MistralAi)


def _ask(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    inputs, hyperparameters = chat_request(kwargs)
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    if isinstance(kwargs.get("tools"), list):
        config["tools"] = kwargs["tools"]
    return ModelCallArgs("chat", kwargs.get("model"), inputs, config)


class _MistralAssembler(ChatAssembler):
    """Its chunks come wrapped in events."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """One event."""
        super().add(get_field(chunk, "data"))


def _watch(result: Any, observer: StreamObserver) -> bool:
    held = getattr(result, "__dict__", {})
    if "generator" not in held or "response" not in held:
        return False
    result.generator = observed(result.generator, observer)
    watch_response(result.response, observer)
    return True
