"""litellm: its completion functions; the provider's SDK below contributes to the one event.

Runs in the thread or task of the call. Invariant: every call is recorded, except through a name
that the program imported from litellm before the instrumentor was installed.
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
        """Wrap both, in the module that defines them and in the package that exports them."""
        self._methods.start(calls)
        adapter = MethodAdapter(_read_call, chat_answer, ChatAssembler, _observe)
        for owner in (module, sys.modules.get("litellm")):
            for name in ("completion", "acompletion"):
                if owner is not None and name in owner.__dict__:
                    self._methods.patch(owner, name, adapter)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._methods.stop()


ENTRY = Entry(name="litellm", target="litellm.main", make=LiteLlm)


def _read_call(this: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs | None:
    if kwargs.get("acompletion"):  # ``acompletion`` calls ``completion``
        return None
    arguments = {**dict(zip(("model", "messages"), args, strict=False)), **kwargs}
    inputs, hyperparameters = chat_request(arguments)
    model = str(arguments.get("model"))
    provider, slash, _ = model.partition("/")
    config: dict[str, Any] = {"hyperparameters": hyperparameters} if hyperparameters else {}
    if arguments.get("custom_llm_provider") or slash:
        config["provider"] = arguments.get("custom_llm_provider") or provider
    if isinstance(arguments.get("tools"), list):
        config["tools"] = arguments["tools"]
    return ModelCallArgs("chat", model, inputs, config)


def _observe(result: Any, observer: StreamObserver) -> bool:
    if not hasattr(type(result), "__next__"):
        return False
    watch_object(result, observer)
    return True
