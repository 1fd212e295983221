"""DSPy: a callback beside the program's own, for its modules, tools and language models.

    a call of          becomes
    -----------------  --------------------------------------------------------------------------
    a module           a chain, below the module that it runs in
    a tool             a tool event with its arguments; ReAct's own ``finish`` has none
    a language model   a model event; litellm and the provider's SDK below contribute to it
    an adapter         nothing: it formats and parses texts

The methods run inside the calls. Invariant: the callbacks that the program has configured stay.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import deeper, innermost
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.core.response_fields import get_field, pick, without_none
from sessiontrace.instrumentation.core.token_counts import reported_usage

_OPEN_MAX = 10_000
_TYPES = {"ReAct": "agent", "CodeAct": "agent", "Avatar": "agent", "Retrieve": "retriever"}
"""Modules that are no chains."""
_HISTORY_MAX = 16
_HYPERPARAMETERS = frozenset({"temperature", "max_tokens", "top_p", "n", "stop"})


class DSPy:
    """The instrumentor of dspy."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Add a callback to those that the settings have, in whichever context they are read."""
        from dspy.dsp.utils.settings import Settings

        base: Any = module.BaseCallback
        callback = type("SessionTraceCallback", (_Callbacks, base), {})(calls, module)

        def wrap(original: Any) -> Any:
            @functools.wraps(original)
            def get(settings: Any, key: str, default: Any = None) -> Any:
                value = original(settings, key, default)
                return [*(value or ()), callback] if key == "callbacks" else value

            return get

        self._patcher.patch(Settings, "get", wrap)
        reporters["dspy"] = lambda: True

    def uninstall(self) -> None:
        """Calls that start from now on do not get the callback."""
        self._patcher.restore()
        reporters.pop("dspy", None)


ENTRY = Entry(name="dspy", target="dspy.utils.callback", make=DSPy)


class _Callbacks:
    """DSPy's events, by call id; mixed with DSPy's callback class at install."""

    def __init__(self, calls: CallRecorder, module: ModuleType) -> None:
        self._calls = calls
        self._module = module
        self._open: dict[str, Span | ModelCall] = {}
        self._models: dict[str, tuple[Any, Any]] = {}  # of a call: its model and its messages

    @never_raises(None)
    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """A module is called."""
        name = type(instance).__name__
        self._start(call_id, name, _TYPES.get(name, "chain"), _arguments(inputs))

    @never_raises(None)
    def on_tool_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """A tool is called."""
        name = get_field(instance, "name")
        if name != "finish":
            self._start(call_id, str(name), "tool", _arguments(inputs))

    @never_raises(None)
    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """A language model is called."""
        if len(self._open) >= _OPEN_MAX:
            return
        model = str(get_field(instance, "model"))
        provider, slash, name = model.partition("/")
        parameters = {**(get_field(instance, "kwargs") or {}), **(inputs.get("kwargs") or {})}
        messages, prompt = inputs.get("messages"), inputs.get("prompt")
        history = messages or [{"role": "user", "content": prompt}]
        config = {
            "type": "chat",
            "model": name if slash else model,
            "provider": provider if slash else None,
            "hyperparameters": pick(parameters, _HYPERPARAMETERS) or None,
        }
        call = self._calls.model(
            f"chat {name if slash else model}",
            inputs={"chat_history": history},
            config=without_none(config),
            parent=self._parent(),
        )
        if call is not None:
            call.begin()
            self._open[call_id] = call
            self._models[call_id] = (instance, messages)

    @never_raises(None)
    def on_module_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
        """A module has returned, or raised an exception."""
        opened = self._open.pop(call_id, None)
        if not isinstance(opened, Span):
            return
        if exception is not None:
            opened.__exit__(type(exception), exception, exception.__traceback__)
        else:
            opened.end(outputs=_prediction(outputs))

    on_tool_end = on_module_end

    @never_raises(None)
    def on_lm_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
        """A language model has answered, or failed."""
        call = self._open.pop(call_id, None)
        instance, messages = self._models.pop(call_id, (None, None))
        if not isinstance(call, ModelCall):
            return
        if exception is not None:
            call.fail(exception)
            return
        answers = [_answer(output) for output in outputs or ()]
        call.end(
            outputs=answers[0] if len(answers) == 1 else {"choices": answers},
            metadata=_metadata(instance, messages),
        )

    def _start(self, call_id: str, name: str, kind: str, inputs: Any) -> None:
        if len(self._open) >= _OPEN_MAX:
            return
        span = self._calls.open(name, kind, parent=self._parent(), inputs=inputs)
        if span is not None:
            self._open[call_id] = span

    def _parent(self) -> Any:
        """The call that is around this one, or a span of the program inside of it."""
        recorder = self._calls.recorder()
        outer = self._open.get(self._module.ACTIVE_CALL_ID.get() or "")
        reported = outer.span if isinstance(outer, ModelCall) else outer
        return deeper(None if recorder is None else innermost(recorder), reported)


def _arguments(inputs: Mapping[str, Any]) -> dict[str, Any]:
    arguments = dict(inputs.get("kwargs") or {})
    if inputs.get("args"):
        arguments["args"] = list(inputs["args"])
    return arguments or {name: value for name, value in inputs.items() if name not in _EMPTY}


_EMPTY = frozenset({"args", "kwargs"})


def _prediction(outputs: Any) -> Any:
    """The fields of a prediction, which is a mapping of its own kind."""
    return dict(outputs.items()) if hasattr(outputs, "toDict") else outputs


def _answer(output: Any) -> dict[str, Any]:
    if isinstance(output, Mapping):
        return {"role": "assistant", "content": output.get("text"), **_others(output)}
    return {"role": "assistant", "content": output}


def _others(output: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in output.items() if name != "text" and value is not None}


def _metadata(instance: Any, messages: Any) -> dict[str, Any]:
    """The counts of the call, which the model keeps in its history; a cached answer has none."""
    for entry in reversed((get_field(instance, "history") or [])[-_HISTORY_MAX:]):
        if messages is not None and entry.get("messages") == messages:
            counts = reported_usage(entry.get("usage"))
            metadata = {"response_model": entry.get("response_model")}
            return {**without_none(metadata), **(counts or {"cached": True})}
    return {}
