"""AutoGen: teams, their agents, tools and memories become steps.

    a call                                   becomes
    ---------------------------------------  ---------------------------------------------------
    ``run_stream`` of a team, ``run`` too    a chain event with the task and the last message
    ``on_messages_stream``, ``on_messages``  an agent event, once for both
    a tool, a hand-off                       a tool event with its arguments and result
    a memory that an agent asks              a retriever event with what it gives

AutoGen's own spans have no inputs and outputs, so the methods are wrapped; models are recorded by
their SDKs. Runs inside the runs. Invariant: what an agent of a team does is below its own team,
whichever runtime delivers the messages.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sessiontrace.capture.handle import OPEN
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.method_steps import MethodSteps, Run
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.placement import deeper, innermost, is_inside_agent
from sessiontrace.instrumentation.core.response_fields import get_field, plain, without_none
from sessiontrace.instrumentation.core.streamed_runs import Inside
from sessiontrace.model.lru_cache import LruCache

_TEAMS_MAX = 1_000


class AutoGen:
    """The instrumentor of autogen-agentchat and the tools of autogen-core."""

    def __init__(self) -> None:
        self._steps = MethodSteps("autogen")
        self._patcher = MethodPatcher()
        self._teams: LruCache[str, Span] = LruCache(_TEAMS_MAX)

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the methods of teams, of the kinds of agents and of tools."""
        self._steps.start(calls)
        if module.__name__ == "autogen_core.tools":
            self._steps.patch(module.BaseTool, "run_json", _open_tool)
            self._steps.patch(module.BaseStreamTool, "run_json_stream", _open_tool)
        elif module.__name__.endswith("_sequential_routed_agent"):
            self._patcher.patch(module.SequentialRoutedAgent, "on_message_impl", self._wrap_message)
        elif module.__name__.endswith("_base_group_chat"):
            self._steps.patch(module.BaseGroupChat, "run_stream", self._open_team)
        else:
            self._steps.patch(module.BaseChatAgent, "on_messages_stream", self._open_agent)
            for kind in _kinds(module.BaseChatAgent):
                self._adopt(kind)
            self._patcher.patch(module.BaseChatAgent, "__init__", self._wrap_init)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._steps.stop()
        self._patcher.restore()

    def _adopt(self, kind: Any) -> None:
        """Wrap the two methods where this kind of agent defines them."""
        for name in ("on_messages", "on_messages_stream"):
            method = vars(kind).get(name)
            if method is not None and not getattr(method, "__isabstractmethod__", False):
                self._steps.patch(kind, name, self._open_agent)

    def _wrap_init(self, original: Any) -> Any:
        @functools.wraps(original)
        def __init__(agent: Any, *args: Any, **options: Any) -> None:  # noqa: N807
            original(agent, *args, **options)
            if self._steps.calls is not None:
                for kind in type(agent).__mro__:
                    self._adopt(kind)

        return __init__

    def _wrap_message(self, original: Any) -> Any:
        """Below the team that a message is of, where a runtime serves several."""

        @functools.wraps(original)
        async def on_message_impl(agent: Any, *args: Any, **options: Any) -> Any:
            recorder = None if self._steps.calls is None else self._steps.calls.recorder()
            team = self._teams.get(str(get_field(get_field(agent, "id"), "key")))
            if recorder is None or team is None or team.state != OPEN:
                return await original(agent, *args, **options)
            with Inside(recorder.current, deeper(innermost(recorder), team)):
                return await original(agent, *args, **options)

        return on_message_impl

    def _open_team(self, calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
        team = args[0]
        name = str(get_field(team, "name") or type(team).__name__)
        names = get_field(team, "_participant_names")
        span = calls.chain(
            name,
            inputs=_task(options.get("task")),
            config=without_none({"team": type(team).__name__, "agents": names}),
        )
        if span is None:
            return None
        self._teams.put(str(get_field(team, "_team_id")), span)
        return TeamRun(span)

    def _open_agent(self, calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
        agent, recorder = args[0], calls.recorder()
        name = str(get_field(agent, "name"))
        if recorder is None or is_inside_agent(innermost(recorder), name):
            return None
        for memory in get_field(agent, "_memory") or ():
            for method in ("update_context", "query"):
                if method in vars(type(memory)):
                    self._steps.patch(type(memory), method, _open_memory)
        messages = options["messages"] if "messages" in options else args[1]
        client = get_field(agent, "_model_client")
        model = get_field(get_field(client, "_create_args"), "model")
        span = calls.step(
            name,
            "agent",
            inputs={"chat_history": [_message(message, name) for message in messages]},
            config=without_none({"agent": type(agent).__name__, "model": model}),
            metadata={"agent_name": name},
        )
        return None if span is None else AgentRun(span)


ENTRY = Entry(
    name="autogen",
    target="autogen_agentchat.agents._base_chat_agent",
    make=AutoGen,
    also=(
        "autogen_agentchat.teams._group_chat._base_group_chat",
        "autogen_agentchat.teams._group_chat._sequential_routed_agent",
        "autogen_core.tools",
    ),
)


def _kinds(kind: Any) -> Iterator[Any]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


def _message(message: Any, agent: str = "") -> dict[str, Any]:
    """A message between agents, as one of a conversation of ``agent``."""
    source = get_field(message, "source")
    text = message.to_text() if hasattr(message, "to_text") else message
    if source in (None, "user"):
        return {"role": "user", "content": text}
    return {"role": "assistant" if source == agent else "user", "name": source, "content": text}


def _task(task: Any) -> dict[str, Any] | None:
    if task is None:
        return None
    messages = task if isinstance(task, list) else [task]
    return {"chat_history": [_message(message) for message in messages]}


def _answer(message: Any) -> dict[str, Any]:
    outputs = {"role": "assistant", "name": get_field(message, "source")}
    target = get_field(message, "target")  # of a hand-off
    return without_none({**outputs, "content": message.to_text(), "handoff": target})


class AgentRun(Run):
    """An agent's turn."""

    def finish(self, result: Any) -> None:
        """The response."""
        self.span.set(outputs=_answer(result.chat_message))

    def see(self, item: Any) -> None:
        """The response is the last item, and its reader may read no further."""
        if hasattr(item, "chat_message"):
            self.finish(item)
            self.span.end()


class TeamRun(Run):
    """A team's run."""

    def see(self, item: Any) -> None:
        """The last item has all messages."""
        if hasattr(item, "messages"):
            reason = without_none({"stop_reason": item.stop_reason})
            self.span.set(outputs=_result(item), metadata=reason)
            self.span.end()


def _open_tool(calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
    tool, name = args[0], str(get_field(args[0], "name"))
    inputs = options["args"] if "args" in options else args[1]
    call_id = options["call_id"] if "call_id" in options else (*args, None, None)[3]
    span = calls.tool(
        name,
        inputs=dict(inputs),
        config=without_none({"tool_name": name, "description": get_field(tool, "description")}),
        metadata=without_none({"tool_call_id": call_id}),
    )
    return None if span is None else ToolRun(span)


class ToolRun(Run):
    """A tool, or an agent or a team that is used as one."""

    def finish(self, result: Any) -> None:
        """What it returns."""
        self.span.set(outputs=_result(result))

    def see(self, item: Any) -> None:
        """The last item is the result, after the messages of an agent or team."""
        if not hasattr(item, "source"):
            self.finish(item)


def _result(result: Any) -> Any:
    if hasattr(result, "messages"):  # of an agent or team that is used as a tool
        messages = [message for message in result.messages if hasattr(message, "to_model_text")]
        return _answer(messages[-1]) if messages else None
    return {"result": plain(result)}


def _open_memory(calls: CallRecorder, args: Any, options: dict[str, Any]) -> Run | None:
    memory, recorder = args[0], calls.recorder()
    name = str(get_field(memory, "name") or type(memory).__name__)
    inputs = _query((*args, *options.values())[1])
    around = None if recorder is None else innermost(recorder)
    if around is not None and around.type == "retriever" and around.name == name:
        around.set(inputs=inputs)  # what the memory asks itself in order to update the context
        return None
    span = calls.step(name, "retriever", inputs=inputs)
    return None if span is None else MemoryRun(span)


def _query(subject: Any) -> dict[str, Any] | None:
    """What a memory is asked: a text, a content, or the last message of a model's context."""
    messages = get_field(subject, "_messages")
    query = messages[-1] if messages else subject
    query = query if isinstance(query, str) else get_field(query, "content")
    return {"query": query} if isinstance(query, str) else None


class MemoryRun(Run):
    """What an agent asks a memory."""

    def finish(self, result: Any) -> None:
        """The contents of the memory that fit."""
        memories = get_field(result, "memories") or result
        contents = [
            without_none({"content": plain(entry.content), "metadata": entry.metadata})
            for entry in memories.results
        ]
        self.span.set(outputs={"documents": contents})
