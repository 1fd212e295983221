"""mistralai: chat completions, whole and streamed, in the form of the chat completions API.

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
        """Wrap its four methods; ``parse`` goes through them."""
        self._methods.start(calls)
        adapter = MethodAdapter(_read_call, chat_answer, _MistralAssembler, _observe)
        for name in ("complete", "complete_async", "stream", "stream_async"):
            self._methods.patch(module.Chat, name, adapter)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._methods.stop()


ENTRY = Entry(name="mistralai", target="mistralai.client.chat", make=MistralAi)


def _read_call(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    inputs, hyperparameters = chat_request(kwargs)
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    if isinstance(kwargs.get("tools"), list):
        config["tools"] = kwargs["tools"]
    return ModelCallArgs("chat", kwargs.get("model"), inputs, config)


class _MistralAssembler(ChatAssembler):
    """A chat completion from events that wrap its chunks."""

    __slots__ = ()

    def add(self, chunk: Any) -> None:
        """Keep the chunk in one event."""
        super().add(get_field(chunk, "data"))


def _observe(result: Any, observer: StreamObserver) -> bool:
    attributes = getattr(result, "__dict__", {})
    if "generator" not in attributes or "response" not in attributes:
        return False
    result.generator = observed(result.generator, observer)
    watch_response(result.response, observer)
    return True
