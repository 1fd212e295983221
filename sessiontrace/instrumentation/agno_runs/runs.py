"""Agno's calls as events: their spans, and what their results and streams say.

Runs inside the runs. Invariant: of the events in a stream only those of the run itself are read,
because a team's stream has its members' events, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.method_steps import Run
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.response_fields import get_field, plain, without_none

__all__ = [
    "AgentRun",
    "FunctionRun",
    "SearchRun",
    "StepRun",
    "open_agent",
    "open_function",
    "open_search",
    "open_step",
    "open_workflow",
]

Options = dict[str, Any]


def open_agent(calls: CallRecorder, args: Any, options: Options) -> Span | None:
    """A run of an agent or a team, or the rest of one that was paused."""
    agent, kind = args[0], type(args[0]).__name__
    name = str(get_field(agent, "name") or get_field(agent, "id") or kind)
    members = get_field(agent, "members")
    names = [_name(member) for member in members] if isinstance(members, list) else None
    tools = get_field(agent, "tools")
    config = {
        "agent": kind,
        "model": get_field(get_field(agent, "model"), "id"),
        "tools": [_name(tool) for tool in tools] if isinstance(tools, list) and tools else None,
        "members": names,
    }
    return calls.step(
        name,
        "agent",
        inputs=_inputs(args, options),
        config=without_none(config),
        metadata={"agent_name": name},
    )


def open_workflow(calls: CallRecorder, args: Any, options: Options) -> Span | None:
    """A run of a workflow."""
    name = str(get_field(args[0], "name") or get_field(args[0], "id") or "Workflow")
    return calls.chain(name, inputs=_inputs(args, options))


def open_step(calls: CallRecorder, args: Any, options: Options) -> Span | None:
    """A step of a workflow, or one that holds others: parallel, loop, condition, router."""
    step, kind = args[0], type(args[0]).__name__
    step_input = options["step_input"] if "step_input" in options else args[1]
    previous = get_field(step_input, "previous_step_content")
    inputs = {"input": plain(get_field(step_input, "input")), "previous_step": plain(previous)}
    name = str(get_field(step, "name") or kind)
    return calls.chain(name, inputs=without_none(inputs), config={"step": kind})


def open_function(calls: CallRecorder, call: Any) -> Span | None:
    """A function that a model calls."""
    name = str(call.function.name)
    return calls.tool(
        name,
        inputs=dict(call.arguments or {}),
        config=without_none({"tool_name": name, "description": call.function.description}),
        metadata=without_none({"tool_call_id": call.call_id}),
    )


def open_search(calls: CallRecorder, args: Any, options: Options) -> Span | None:
    """A search in knowledge."""
    names = ("query", "max_results", "filters")
    inputs = {**dict(zip(names, args[1:], strict=False)), **options}
    return calls.step(
        str(get_field(args[0], "name") or type(args[0]).__name__),
        "retriever",
        inputs=without_none({name: plain(inputs.get(name)) for name in names}),
    )


class AgentRun(Run):
    """A run of an agent, a team or a workflow."""

    def __init__(self, span: Span, agent: Any) -> None:
        super().__init__(span)
        self._agent = agent
        self._pieces: list[str] = []
        self._content: Any = None

    def finish(self, result: Any) -> None:
        """The answer; of a run that failed it is the error."""
        status = str(get_field(get_field(result, "status"), "value") or "")
        content = plain(get_field(result, "content"))
        if status == "ERROR":
            self.span.set_error(str(content))
        else:
            self.span.set(outputs=_answer(content))
        if status in ("PAUSED", "CANCELLED"):
            self.span.set(metadata={"control_flow": status.lower()})

    def see(self, item: Any) -> None:
        """An event of a stream: a piece of the answer, the whole one, or an error."""
        name = str(get_field(item, "event") or "")
        if hasattr(item, "status") and not name:  # the result itself
            self._content = plain(item.content)
            return
        owners = [get_field(item, f"{kind}_id") for kind in ("agent", "team", "workflow")]
        if get_field(self._agent, "id") not in owners:
            return
        event = name.removeprefix("Team").removeprefix("Workflow")
        content = get_field(item, "content")
        if event in ("RunContent", "RunIntermediateContent") and isinstance(content, str):
            self._pieces.append(content)
        elif event in ("RunContent", "RunCompleted", "Completed") and content is not None:
            self._content = plain(content)
        elif event in ("RunError", "Error"):
            self.span.set_error(str(content or get_field(item, "error")))
        elif event in ("RunPaused", "Paused", "RunCancelled", "Cancelled"):
            self.span.set(metadata={"control_flow": event.removeprefix("Run").lower()})

    def close(self) -> None:
        """The stream has ended: its text is the answer."""
        content = "".join(self._pieces) if self._content is None else self._content
        if content:
            self.span.set(outputs=_answer(content))


class StepRun(Run):
    """A step of a workflow."""

    def finish(self, result: Any) -> None:
        """What the step hands on."""
        if get_field(result, "success") is False:
            self.span.set_error(str(get_field(result, "error") or get_field(result, "content")))
        self.span.set(outputs={"content": plain(get_field(result, "content"))})

    def see(self, item: Any) -> None:
        """The output is the last item."""
        if type(item).__name__ == "StepOutput":
            self.finish(item)


class FunctionRun(Run):
    """A function that a model calls; one that yields is read after its call."""

    def __init__(self, span: Span, call: Any, read_later: Callable[[Any, Run], Any]) -> None:
        super().__init__(span)
        self._call = call
        self._read_later = read_later
        self._pieces: list[str] = []

    def finish(self, result: Any) -> None:
        """What the function returned, or its error."""
        value = result.result
        if result.status != "success":
            self.span.set_error(str(result.error))
        elif hasattr(value, "__next__") or hasattr(value, "__anext__"):
            self.goes_on = True
            result.result = self._read_later(value, self)
            if self._call.result is value:
                self._call.result = result.result
        else:
            self.span.set(outputs={"result": plain(value)})

    def see(self, item: Any) -> None:
        """A piece of what the function yields, or an event of the agent that it runs."""
        content = item if isinstance(item, str) else get_field(item, "content")
        name = str(get_field(item, "event") or "RunContent").removeprefix("Team")
        if name == "RunContent" and isinstance(content, str):
            self._pieces.append(content)

    def close(self) -> None:
        """All pieces are there."""
        if self.goes_on:
            self.span.set(outputs={"result": "".join(self._pieces)})


class SearchRun(Run):
    """A search in knowledge."""

    def finish(self, result: Any) -> None:
        """The documents."""
        documents = [
            without_none(
                {
                    "content": document.content,
                    "id": document.id,
                    "name": document.name,
                    "metadata": document.meta_data or None,
                    "score": document.reranking_score,
                }
            )
            for document in result
        ]
        self.span.set(outputs={"documents": documents})


def _inputs(args: Any, options: Options) -> dict[str, Any] | None:
    subject = options["input"] if "input" in options else (*args, None)[1]
    if isinstance(subject, str):
        return {"chat_history": [{"role": "user", "content": subject}]}
    continued = options.get("run_response") or subject
    run_id = options.get("run_id") or get_field(continued, "run_id")
    if run_id is not None and (subject is None or continued is subject):
        return {"continued_run": run_id}
    return None if subject is None else {"input": plain(subject)}


def _answer(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def _name(subject: Any) -> str:
    name = get_field(subject, "name") or getattr(subject, "__name__", None)
    return str(name or type(subject).__name__)
