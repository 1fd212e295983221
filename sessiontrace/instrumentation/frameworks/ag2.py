"""AG2: a middleware of its own around each turn, model call, tool and question to a human.

    a hook of the middleware    becomes
    --------------------------  ----------------------------------------------------------------
    on_turn                     an agent event; a sub-agent's is inside of the tool that asks it
    on_llm_call                 a model event, to which the provider's SDK adds
    on_tool_execution           a tool event
    on_human_input              a chain event with the question and the answer

The middleware is the innermost one of every turn, beside those of the program, whenever its agent
was made. Runs inside the turns. Invariant: what a hook returns or raises is what the next one did.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.ag2_runs.messages import (
    answer_of,
    history_of,
    inputs_of,
    metadata_of,
    result_of,
)
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.reporters import reporters
from sessiontrace.instrumentation.core.response_fields import get_field, parse_json, without_none


class Ag2:
    """The instrumentor of ag2."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None
        self._base: Any = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Add the middleware where a turn collects those of its agent."""
        from ag2.middleware import BaseMiddleware

        self._calls, self._base = calls, type("_Middleware", (_Hooks, BaseMiddleware), {})
        scope = "_drive_scope" if "_drive_scope" in vars(module.Agent) else "_turn_scope"
        self._patcher.patch(module.Agent, scope, self._wrap)
        reporters["ag2"] = lambda: True

    def uninstall(self) -> None:
        """Put the method back."""
        self._calls = None
        self._patcher.restore()
        reporters.pop("ag2", None)

    def _wrap(self, original: Any) -> Any:
        @functools.wraps(original)
        def scope(agent: Any, *args: Any, **options: Any) -> Any:
            if self._calls is not None and self._calls.recorder() is not None:
                middleware = options.get("additional_middleware") or ()
                ours = functools.partial(self._base, agent, self._calls)
                options["additional_middleware"] = (*middleware, ours)
            return original(agent, *args, **options)

        return scope


ENTRY = Entry(name="ag2", target="ag2.agent", make=Ag2)


class _Hooks:
    """The hooks; mixed with AG2's base of middlewares."""

    def __init__(self, agent: Any, calls: CallRecorder, event: Any, context: Any) -> None:
        self.initial_event, self.context = event, context
        self._agent, self._calls = agent, calls

    async def on_turn(self, call_next: Any, event: Any, context: Any) -> Any:
        """A turn of the agent."""
        return await _in_step(self._turn, _end_turn, call_next, event, context)

    async def on_tool_execution(self, call_next: Any, event: Any, context: Any) -> Any:
        """A call of a tool."""
        return await _in_step(self._tool, _end_tool, call_next, event, context)

    async def on_human_input(self, call_next: Any, event: Any, context: Any) -> Any:
        """A question to a human."""
        return await _in_step(self._question, _end_question, call_next, event, context)

    async def on_llm_call(self, call_next: Any, events: Any, context: Any) -> Any:
        """A call of the model."""
        call = self._model()
        if call is None:
            return await call_next(events, context)
        try:
            with call:
                response = await call_next(events, context)
        except BaseException as error:
            _describe(call, events, context)
            call.fail(error)
            raise
        _describe(call, events, context)
        _end_call(call, response)
        return response

    @never_raises(None)
    def _turn(self, event: Any) -> Span | None:
        name = str(get_field(self._agent, "name") or "Agent")
        model = get_field(get_field(self._agent, "config"), "model")
        tools = [str(get_field(tool, "name")) for tool in get_field(self._agent, "tools") or ()]
        return self._calls.step(
            name,
            "agent",
            inputs=inputs_of(event),
            config=without_none({"agent": "Agent", "model": model, "tools": tools or None}),
            metadata={"agent_name": name},
        )

    @never_raises(None)
    def _tool(self, event: Any) -> Span | None:
        arguments = get_field(event, "arguments")
        return self._calls.tool(
            str(event.name),
            inputs=parse_json(arguments) if isinstance(arguments, str) else arguments,
            config={"tool_name": str(event.name)},
            metadata=without_none({"tool_call_id": get_field(event, "id")}),
        )

    @never_raises(None)
    def _question(self, event: Any) -> Span | None:
        return self._calls.chain("human input", inputs={"question": get_field(event, "content")})

    @never_raises(None)
    def _model(self) -> ModelCall | None:
        model = get_field(get_field(self._agent, "config"), "model") or "model"
        return self._calls.model(f"chat {model}", config={"type": "chat", "model": str(model)})


async def _in_step(
    open: Callable[[Any], Span | None],
    end: Callable[[Span, Any], None],
    call_next: Any,
    event: Any,
    context: Any,
) -> Any:
    span = open(event)
    if span is None:
        return await call_next(event, context)
    with span:
        result = await call_next(event, context)
        end(span, result)
    return result


@never_raises(None)
def _end_turn(span: Span, response: Any) -> None:
    span.set(outputs=answer_of(response))


@never_raises(None)
def _end_tool(span: Span, result: Any) -> None:
    error = get_field(result, "error")
    if error is not None:
        span.set(error=error if isinstance(error, BaseException) else str(error))
    elif hasattr(result, "result"):
        span.set(outputs={"result": result_of(result)})


@never_raises(None)
def _end_question(span: Span, answer: Any) -> None:
    span.set(outputs={"answer": get_field(answer, "content")})


@never_raises(None)
def _describe(call: ModelCall, events: Any, context: Any) -> None:
    """The messages, where no SDK inside has stated its request."""
    if call.span.lacks("inputs"):
        call.span.set(inputs={"chat_history": history_of(events, context)})


@never_raises(None)
def _end_call(call: ModelCall, response: Any) -> None:
    provider = without_none({"provider": get_field(response, "provider")})
    if not call.is_contribution and not (call.span.field_group("config") or {}).get("provider"):
        call.span.merge("config", provider)
    call.end(outputs=answer_of(response), metadata=metadata_of(response))
