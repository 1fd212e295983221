"""OpenAI Agents: agents, tools and model calls as one tree, each recorded once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from support.instrumented import ModelTracer, instrumented
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

from sessiontrace.instrumentation.registry import Instruments

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


def answers(body: dict[str, Any]) -> Any:
    """Asks for the tool first, and answers once it was given the tool's result."""
    answered = any(message.get("role") == "tool" for message in body["messages"])
    asks = body.get("tools") and not answered
    return ROUTES["/v1/chat/completions"]({**body, "model": "tools" if asks else "ok"})


@pytest.mark.asyncio
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("both", [False, True])
async def test_an_agent_with_a_tool(streamed: bool, both: bool) -> None:
    """Two turns with a tool between them; with the openai SDK instrumented too, nothing doubles."""
    agents = pytest.importorskip("agents", reason="the contract group is not installed")
    import openai

    tracer = ModelTracer()
    instruments = Instruments(tracer)
    names = ("openai-agents", "openai") if both else ("openai-agents",)
    report = instruments.add(names, ())
    assert "openai-agents" in report.active, str(report)
    theirs = agents.tracing.get_trace_provider()._multi_processor._processors

    @agents.function_tool
    def weather(city: str) -> str:
        """Report the weather."""
        return f"rain in {city}"

    try:
        with serving({**ROUTES, "/v1/chat/completions": answers}) as stub:
            client = openai.AsyncOpenAI(base_url=f"{stub.url}/v1", api_key="k")
            model = agents.OpenAIChatCompletionsModel(model="m", openai_client=client)
            agent = agents.Agent(name="helper", model=model, tools=[weather])
            with tracer.session():
                if streamed:
                    running = agents.Runner.run_streamed(agent, "Weather in Oslo?")
                    async for _ in running.stream_events():
                        pass
                    result = running.final_output
                else:
                    result = (await agents.Runner.run(agent, "Weather in Oslo?")).final_output
            await client.close()
    finally:
        instruments.remove()

    assert result == TEXT
    assert len(theirs) >= 1
    events = {event["event_id"]: event for event in tracer.events}
    models = [event for event in tracer.events if event["event_type"] == "model"]
    (tool,) = [event for event in tracer.events if event["event_type"] == "tool"]
    assert len(models) == 2
    assert tool["event_name"] == "weather"
    assert "rain in Oslo" in str(tool["outputs"])
    assert "Oslo" in str(tool["inputs"])
    assert models[1]["outputs"]["content"] == TEXT
    assert "Weather in Oslo?" in str(models[0]["inputs"])
    for model_event in models:
        above = events[model_event["parent_id"]]
        assert above["event_type"] == "chain"


@pytest.fixture
def stub() -> Iterator[Provider]:
    routes = {**ROUTES, "/v1/chat/completions": answers, "/v1/responses": response_answers}
    with serving(routes) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["alone", "with-openai"])
def tracing(request: pytest.FixtureRequest) -> Iterator[ModelTracer]:
    pytest.importorskip("agents", reason="the contract group is not installed")
    with instrumented("openai-agents", *(["openai"] if request.param else [])) as tracer:
        yield tracer


@pytest_asyncio.fixture(params=["chat", "responses"])
async def model(request: pytest.FixtureRequest, stub: Provider) -> AsyncIterator[Any]:
    """A function that makes a model of either API, by its name."""
    import agents
    import openai

    kind: Any = {
        "chat": agents.OpenAIChatCompletionsModel,
        "responses": agents.OpenAIResponsesModel,
    }[request.param]
    async with openai.AsyncOpenAI(base_url=f"{stub.url}/v1", api_key="k", max_retries=0) as client:
        yield lambda name="m": kind(model=name, openai_client=client)


def response_answers(body: dict[str, Any]) -> Any:
    """As ``answers``, for the Responses API."""
    entries = body["input"] if isinstance(body["input"], list) else []
    answered = any(entry.get("type") == "function_call_output" for entry in entries)
    asks = body.get("tools") and not answered
    return ROUTES["/v1/responses"]({**body, "model": "tools" if asks else "ok"})


@pytest.mark.asyncio
async def test_a_run_is_a_tree(tracing: ModelTracer, model: Any) -> None:
    """Trace, agent, turns, models and the tool; inputs and outputs at every level."""
    import agents

    @agents.function_tool
    def weather(city: str) -> str:
        """Report the weather."""
        with tracing.span("look up"):
            return f"rain in {city}"

    agent = agents.Agent(name="helper", instructions="Be kind", model=model(), tools=[weather])
    with tracing.session():
        await agents.Runner.run(agent, "Weather in Oslo?")
        with tracing.span("after"):
            pass

    names = [path.replace("tools-2026", "m").replace("ok-2026", "m") for path in tracing.paths]
    assert names == [
        "Agent workflow",
        "Agent workflow/helper",
        "Agent workflow/helper/turn 1",
        "Agent workflow/helper/turn 1/chat m",
        "Agent workflow/helper/turn 1/weather",
        "Agent workflow/helper/turn 1/weather/look up",
        "Agent workflow/helper/turn 2",
        "Agent workflow/helper/turn 2/chat m",
        "after",
    ]
    assert tracing.tokens == 38
    assert tracing.failed == []
    tool = tracing.event("weather")
    assert (tool["inputs"], tool["outputs"]) == ({"city": "Oslo"}, {"result": "rain in Oslo"})
    assert tool["metadata"]["tool_call_id"] == "call_1"
    for name in ("Agent workflow", "helper"):
        event = tracing.event(name)
        question = next(m for m in event["inputs"]["chat_history"] if m["role"] == "user")
        assert question["content"] == "Weather in Oslo?"
        assert event["outputs"]["content"] == TEXT
    assert [event["outputs"].get("content") for event in tracing.models] == [None, TEXT]


@pytest.mark.asyncio
async def test_a_failing_model_keeps_its_inputs(tracing: ModelTracer, model: Any) -> None:
    """Streamed and whole: the model's own error, and no counts that the SDK made up."""
    import agents

    agent = agents.Agent(name="helper", model=model("status-400"))
    with tracing.session():
        with pytest.raises(Exception, match="no luck"):
            await agents.Runner.run(agent, "Hello?")
        with pytest.raises(Exception, match="no luck"):
            async for _ in agents.Runner.run_streamed(agent, "Hello?").stream_events():
                pass

    assert len(tracing.models) == 2
    assert all("no luck" in event["error"] for event in tracing.models)
    assert tracing.tokens == 0
    assert "outputs" not in tracing.models[0] or not tracing.models[0]["outputs"]
    if "http_status" in tracing.models[0]["metadata"]:  # the SDK below saw the request
        assert all("Hello?" in str(event["inputs"]) for event in tracing.models)


@pytest.mark.asyncio
async def test_tools_that_fail(tracing: ModelTracer, model: Any) -> None:
    """A failure that the model is given is the tool's; one that ends the run is the agent's too."""
    import agents

    def weather(city: str) -> str:
        """Report the weather."""
        raise KeyError("lost")

    soft = agents.function_tool(weather)
    hard = agents.function_tool(weather, failure_error_function=None)
    with tracing.session():
        await agents.Runner.run(agents.Agent(name="soft", model=model(), tools=[soft]), "Oslo?")
        with pytest.raises(Exception, match="lost"):
            await agents.Runner.run(agents.Agent(name="hard", model=model(), tools=[hard]), "?")

    assert sorted(tracing.failed) == ["hard", "weather", "weather"]


@pytest.mark.asyncio
async def test_a_hand_off_is_no_error(tracing: ModelTracer, model: Any) -> None:
    """Both agents are in the trace, side by side; the hand-off says from whom to whom."""
    import agents

    expert = agents.Agent(name="expert", model=model())
    first = agents.Agent(
        name="triage",
        model=model(),
        handoffs=[agents.handoff(expert, tool_name_override="weather")],
    )
    with tracing.session():
        await agents.Runner.run(first, "Weather in Oslo?")

    assert {"Agent workflow/triage", "Agent workflow/expert"} <= set(tracing.paths)
    assert tracing.event("expert")["metadata"]["agent_name"] == "expert"
    assert tracing.event("expert")["event_type"] == "agent"
    event = tracing.event("handoff")
    assert (event["inputs"], event["outputs"]) == ({"from": "triage"}, {"to": "expert"})
    assert tracing.failed == []
    assert tracing.tokens == 38


@pytest.mark.asyncio
async def test_a_guardrail_says_whether_it_stopped_the_run(
    tracing: ModelTracer, model: Any
) -> None:
    """One that lets the input pass, and one that does not."""
    import agents

    def guarding(triggered: bool) -> Any:
        async def check(context: Any, agent: Any, value: Any) -> Any:
            return agents.GuardrailFunctionOutput(None, tripwire_triggered=triggered)

        guardrail = agents.InputGuardrail(guardrail_function=check, run_in_parallel=False)
        return agents.Agent(name="helper", model=model(), input_guardrails=[guardrail])

    with tracing.session():
        await agents.Runner.run(guarding(False), "Hello?")
        with pytest.raises(agents.InputGuardrailTripwireTriggered):
            await agents.Runner.run(guarding(True), "Hello?")

    checks = [event for event in tracing.events if event["event_name"] == "check"]
    assert [event["outputs"]["triggered"] for event in checks] == [False, True]
    assert len(tracing.models) == 1


@pytest.mark.asyncio
async def test_runs_at_once_and_runs_inside(tracing: ModelTracer, model: Any) -> None:
    """Parallel runs are siblings; a run that a span of the program holds is inside that span."""
    import agents

    inner = agents.Agent(name="inner", model=model())

    @agents.function_tool
    async def weather(city: str) -> str:
        """Report the weather."""
        with tracing.span("ask"):
            return str((await agents.Runner.run(inner, city)).final_output)

    outer = agents.Agent(name="outer", model=model(), tools=[weather])
    with tracing.session():
        await asyncio.gather(*(agents.Runner.run(outer, "Oslo?") for _ in range(2)))

    assert tracing.paths.count("Agent workflow") == 2
    asked = "Agent workflow/outer/turn 1/weather/ask"
    assert tracing.paths.count(asked) == 2
    assert len([p for p in tracing.paths if p.startswith(f"{asked}/") and "/chat " in p]) == 2
    assert tracing.tokens == 6 * 19
    assert tracing.failed == []


@pytest.mark.asyncio
async def test_a_group_is_a_conversation(tracing: ModelTracer, model: Any) -> None:
    """Without a session of the program, two runs of a group are turns of one conversation."""
    import agents

    agent = agents.Agent(name="helper", model=model())
    config = agents.RunConfig(
        workflow_name="Weather", group_id="thread-1", trace_metadata={"customer": "c1"}
    )
    for _ in range(2):
        await agents.Runner.run(agent, "Hello?", run_config=config)

    assert len({event["session_id"] for event in tracing.events}) == 1
    runs = [event for event in tracing.events if event["event_name"] == "Weather"]
    assert [event["metadata"]["customer"] for event in runs] == ["c1", "c1"]
    starts = tracing.of("start")
    assert [start["metadata"]["session_id"] for start in starts] == ["thread-1"] * 2
