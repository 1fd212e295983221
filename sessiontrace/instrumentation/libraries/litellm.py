"""litellm: its completion functions; the SDK of the provider below adds to the one event.

Runs in the thread or task of the call. Invariant: a name that a program has imported from litellm
before us is the one thing that is not seen.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.stream_observer import StreamObserver
from sessiontrace.instrumentation.core.stream_proxy import watch_object
from sessiontrace.instrumentation.openai_family.chat_format import (
    ChatAssembler,
    chat_answer,
    chat_request,
)


class LiteLlm:
    """The instrumentor of litellm's ``completion`` and ``acompletion``."""

    def __init__(self) -> None:
        self._methods = ModelMethods("litellm")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Stand in both, where they are defined and where they are shown."""
        self._methods.start(calls)
        adapter = MethodAdapter(_ask, chat_answer, ChatAssembler, _watch)
        for owner in (module, sys.modules.get("litellm")):
            for name in ("completion", "acompletion"):
                if owner is not None and name in owner.__dict__:
                    self._methods.patch(owner, name, adapter)

    def uninstall(self) -> None:
        """Put them back."""
        self._methods.stop()


ENTRY = Entry(name="litellm", target="litellm.main", make=LiteLlm)


def _ask(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs | None:
    if kwargs.get("acompletion"):  # the async one calls the other
        return None
    given = {**dict(zip(("model", "messages"), args, strict=False)), **kwargs}
    inputs, hyperparameters = chat_request(given)
    model = str(given.get("model"))
    provider, slash, _ = model.partition("/")
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    if given.get("custom_llm_provider") or slash:
        config["provider"] = given.get("custom_llm_provider") or provider
    if isinstance(given.get("tools"), list):
        config["tools"] = given["tools"]
    return ModelCallArgs("chat", model, inputs, config)


def _watch(result: Any, observer: StreamObserver) -> bool:
    if not hasattr(type(result), "__next__"):
        return False
    watch_object(result, observer)
    return True
