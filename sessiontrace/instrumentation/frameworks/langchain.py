"""LangChain and LangGraph: a callback handler that every run gets by LangChain's configure hook.

``install`` runs on the thread that imports the library. Invariant: a LangChain without the
functions that are wrapped here is recorded as well, with the caller's context in their place.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder, open_call, restore
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.langchain_runs.callbacks import RunCallbacks

_GRAPH_MODULES = ("langgraph._internal._runnable", "langgraph.utils.runnable")
_MODEL_WORK = (
    ("langchain_core.language_models.chat_models", "BaseChatModel", "_generate_with_cache"),
    ("langchain_core.language_models.chat_models", "BaseChatModel", "_agenerate_with_cache"),
    ("langchain_core.language_models.llms", "BaseLLM", "_generate_helper"),
    ("langchain_core.language_models.llms", "BaseLLM", "_agenerate_helper"),
)


class LangChain:
    """The instrumentor of langchain-core."""

    def __init__(self) -> None:
        self._hooks: list[Any] | None = None
        self._entry: Any = None
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Register a context variable whose default is the handler, so that every run gets it."""
        if self._hooks is not None:
            return
        from langchain_core.callbacks.base import BaseCallbackHandler
        from langchain_core.tracers import context

        kind: Any = type("SessionTraceCallbacks", (RunCallbacks, BaseCallbackHandler), {})
        callbacks: RunCallbacks = kind(calls)
        self._wrap_contexts(callbacks)
        self._wrap_models(callbacks)
        variable: ContextVar[Any] = ContextVar("sessiontrace.langchain", default=callbacks)
        before = len(context._configure_hooks)
        context.register_configure_hook(variable, inheritable=True)
        self._hooks = context._configure_hooks
        self._entry = self._hooks[before]
        reporters["langchain"] = lambda: True

    def uninstall(self) -> None:
        """Runs that start from now on do not get the handler."""
        reporters.pop("langchain", None)
        if self._hooks is not None and self._entry in self._hooks:
            self._hooks.remove(self._entry)
        self._hooks = None
        self._patcher.restore()

    def _wrap_contexts(self, callbacks: RunCallbacks) -> None:
        """Enter the span of a run in the context that LangChain makes for the run's own work."""
        from langchain_core.runnables import config

        def wrap(original: Any) -> Any:
            return _enter(original, callbacks)

        def wrap_graphs() -> bool:
            """LangGraph has such a function of its own; False until it is imported."""
            for name in _GRAPH_MODULES:
                if "_set_config_context" in vars(owner := sys.modules.get(name, sys)):
                    self._patcher.patch(owner, "_set_config_context", wrap)
                    return True
            return False

        if "_set_config_context" in vars(config):
            self._patcher.patch(config, "_set_config_context", wrap)
            callbacks.enters_contexts = True
            callbacks.wrap_graphs = wrap_graphs

    def _wrap_models(self, callbacks: RunCallbacks) -> None:
        """Enter the open call of a model run around the run's own work."""
        callbacks.wraps_models = True
        for module_name, class_name, name in _MODEL_WORK:
            try:
                owner = getattr(importlib.import_module(module_name), class_name)
                self._patcher.patch(owner, name, lambda original: _work(original, callbacks))
            except (ImportError, AttributeError, KeyError):
                callbacks.wraps_models = False


ENTRY = Entry(name="langchain", target="langchain_core.callbacks.manager", make=LangChain)


def _enter(original: Any, callbacks: RunCallbacks) -> Any:
    @functools.wraps(original)
    def _set_config_context(config: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(config, *args, **kwargs)
        callbacks.enter_context(config)
        return result

    return _set_config_context


def _work(original: Any, callbacks: RunCallbacks) -> Any:
    """``original`` inside the open call of the run that its arguments name."""

    def run_id_of(kwargs: dict[str, Any], args: tuple[Any, ...]) -> Any:
        manager = kwargs.get("run_manager")
        if manager is None:
            managers = kwargs.get("run_managers") or (args[2] if len(args) > 2 else None)
            manager = managers[0] if isinstance(managers, list) and managers else managers
        return getattr(manager, "run_id", None)

    if asyncio.iscoroutinefunction(original):

        @functools.wraps(original)
        async def async_method(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = callbacks.working(run_id_of(kwargs, args), sequential=False)
            if call is None:
                return await original(self, *args, **kwargs)
            token = open_call.set(call)
            try:
                return await original(self, *args, **kwargs)
            finally:
                restore(token)

        return async_method

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        run_id = run_id_of(kwargs, args)
        call = callbacks.working(run_id, sequential="run_manager" in kwargs)
        if call is None:
            return original(self, *args, **kwargs)
        token = open_call.set(call)
        try:
            result = original(self, *args, **kwargs)
        finally:
            restore(token)
        callbacks.worked(run_id, result)
        return result

    return method
