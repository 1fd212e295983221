"""CrewAI: crews, tasks, agents, tools, flows and model calls, each once, whoever reports it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.own_environment import OWN_ENVIRONMENT
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import Provider, serving

pytest.importorskip("crewai", reason=f"crewai {OWN_ENVIRONMENT}")

from crewai import LLM, Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from crewai.tools import tool
from openinference.instrumentation.crewai import CrewAIInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from sessiontrace.instrumentation.opentelemetry import SpanProcessor

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

AGENT = "crew/task/forecaster"
TREE = ["crew", "crew/task", AGENT, f"{AGENT}/chat m", f"{AGENT}/chat m", f"{AGENT}/weather"]


def answers(body: dict[str, Any]) -> Any:
    """Calls a tool for each city of the task, and then answers; a boss asks its co-worker."""
    messages, tools, model = body["messages"], body.get("tools"), body["model"]
    if model != "m":
        return ROUTES["/v1/chat/completions"](body)
    if not tools or any(entry["role"] == "tool" for entry in messages):
        return ROUTES["/v1/chat/completions"]({**body, "model": "ok"})
    cities = [city for city in ("Oslo", "Rome", "nowhere") if city in str(messages)] or ["Oslo"]
    names = [entry["function"]["name"] for entry in tools]
    completion = ROUTES["/v1/chat/completions"]({**body, "model": "tools", "stream": False})
    requests = [call("weather", {"city": city}, city) for city in cities]
    for name in names:
        if "question" in name:
            question = {"question": "Weather?", "context": "Oslo", "coworker": "forecaster"}
            requests = [call(name, question, "ask")]
    completion["choices"][0]["message"]["tool_calls"] = requests
    return completion


def call(name: str, arguments: dict[str, str], id: str) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call_{id}", "type": "function", "function": function}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with (
        serving({**ROUTES, "/v1/chat/completions": answers}) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("CREWAI_STORAGE_DIR", str(tmp_path_factory.mktemp("crewai")))
        patch.setenv("CREWAI_DISABLE_TELEMETRY", "true")
        patch.setenv("CREWAI_TRACING_ENABLED", "false")
        yield running


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("crewai", "openai") as tracer:
        yield tracer


@tool("weather")
def weather(city: str) -> str:
    """Reports the weather in a city."""
    if city == "nowhere":
        raise ValueError("boom")
    return f"rain in {city}"


def llm_of(provider: Provider, model: str = "m", **options: Any) -> Any:
    url = f"{provider.url}/v1"
    return LLM(model=model, provider="openai", base_url=url, api_key="k", max_retries=0, **options)


def agent_of(provider: Provider, role: str = "forecaster", model: str = "m", **options: Any) -> Any:
    options.setdefault("tools", [weather])
    llm = llm_of(provider, model, **options.pop("llm", {}))
    return Agent(role=role, goal="Report", backstory="You measure.", llm=llm, **options)


def crew_of(provider: Provider, text: str = "Report the weather", **options: Any) -> Any:
    agent = agent_of(provider, **options)
    return Crew(agents=[agent], tasks=[task_of(agent, text)])


def task_of(agent: Any, text: str = "Report the weather", **options: Any) -> Any:
    return Task(description=text, expected_output="A line", agent=agent, **options)


def test_a_crew(tracing: ModelTracer, provider: Provider) -> None:
    """The crew, its task and agent, the tool and two calls, with what each got and gave."""
    with tracing.session():
        crew_of(provider).kickoff()
        with tracing.span("after"):
            pass

    assert tracing.paths == sorted(["after", *TREE])
    assert (tracing.tokens, tracing.failed) == (38, [])
    task, agent, used = (tracing.event(name) for name in ("task", "forecaster", "weather"))
    assert task["inputs"] == {"description": "Report the weather", "expected_output": "A line"}
    assert task["outputs"] == agent["outputs"] == {"result": TEXT}
    assert agent["metadata"]["agent_name"] == "forecaster"
    assert agent["event_type"] == "agent"
    assert (used["event_type"], used["inputs"]) == ("tool", {"city": "Oslo"})
    assert used["outputs"] == {"result": "rain in Oslo"}
    first, second = tracing.models
    assert first["outputs"]["tool_calls"][0]["function"]["name"] == "weather"
    assert second["outputs"]["content"] == TEXT
    assert second["inputs"]["chat_history"][-1]["content"] == "rain in Oslo"


def test_a_tool_that_fails(tracing: ModelTracer, provider: Provider) -> None:
    """Its event has the error, and the run goes on; other tools of the same answer are right."""
    with tracing.session():
        crew_of(provider, "Report the weather of Rome and nowhere").kickoff()

    tools = [event for event in tracing.events if event["event_name"] == "weather"]
    by_city = {event["inputs"]["city"]: event for event in tools}
    assert by_city["Rome"]["outputs"] == {"result": "rain in Rome"}
    assert "boom" in by_city["nowhere"]["error"]
    assert set(tracing.failed) == {"weather"}


def test_a_model_that_fails(tracing: ModelTracer, provider: Provider) -> None:
    """The call and what is around it have the error; what follows has not."""
    with tracing.session():
        with pytest.raises(Exception, match="no luck"):
            crew_of(provider, model="status-400").kickoff()
        with tracing.span("after"):
            pass

    assert set(tracing.failed) == {"chat status-400", "forecaster", "task", "crew"}
    assert tracing.models[0]["inputs"]["chat_history"][0]["role"] == "system"
    assert "after" in tracing.paths


def test_a_streamed_model(tracing: ModelTracer, provider: Provider) -> None:
    """A stream is one call with one text and the tokens of its end."""
    with tracing.session():
        crew_of(provider, tools=[], llm={"stream": True}).kickoff()

    assert tracing.model["outputs"]["content"] == TEXT
    assert (tracing.tokens, tracing.failed) == (19, [])


def test_async_and_a_co_worker(tracing: ModelTracer, provider: Provider) -> None:
    """The co-worker that a boss asks is inside of the boss's tool; tasks at once are siblings."""
    boss = agent_of(provider, "boss", tools=[], allow_delegation=True)
    helper = agent_of(provider, tools=[])
    tasks = [
        task_of(boss, name="ask"),
        task_of(helper, name="one", async_execution=True),
        task_of(helper, name="two"),
    ]
    with tracing.session():
        asyncio.run(Crew(agents=[boss, helper], tasks=tasks).kickoff_async())

    paths = tracing.paths
    inside = [path for path in paths if path.startswith("crew/ask/boss/")]
    assert any(path.endswith("forecaster/chat m") for path in inside), inside
    assert {"crew/one/forecaster/chat m", "crew/two/forecaster/chat m"} <= set(paths)
    assert len(tracing.models) == 5
    assert (tracing.tokens, tracing.failed) == (5 * 19, [])


def test_a_flow(tracing: ModelTracer, provider: Provider) -> None:
    """A flow, its methods, and the agents that they run; no flow inside of an agent."""
    agent = agent_of(provider)

    class Report(Flow):  # type: ignore[type-arg]
        @start()
        def measure(self) -> str:
            return str(agent.kickoff("Weather in Oslo?"))

        @listen(measure)
        def write(self, report: str) -> str:
            return f"report: {report}"

    with tracing.session():
        Report().kickoff(inputs={"city": "Oslo"})

    paths = tracing.paths
    assert {"Report", "Report/measure", "Report/write"} <= set(paths)
    assert tracing.event("Report")["inputs"]["inputs"]["city"] == "Oslo"
    assert tracing.event("write")["outputs"] == {"result": f"report: {TEXT}"}
    assert any(path.startswith("Report/measure/") and "weather" in path for path in paths)
    assert (tracing.tokens, tracing.failed) == (38, [])


def test_two_users_at_once(tracing: ModelTracer, provider: Provider) -> None:
    """Each session has the one tree of its own user."""

    async def ask(user: str) -> None:
        async with tracing.session(user=user):
            await crew_of(provider).kickoff_async()

    async def both() -> None:
        await asyncio.gather(*(ask(f"user{number}") for number in range(3)))

    asyncio.run(both())

    by_session: dict[str, int] = {}
    for event in tracing.models:
        by_session[event["session_id"]] = by_session.get(event["session_id"], 0) + 1
    assert list(by_session.values()) == [2, 2, 2]
    assert tracing.failed == []


@pytest.mark.parametrize("spans_of_the_model", [True, False], ids=["model spans", "no model spans"])
@pytest.mark.parametrize("spans_of_the_crew", [True, False], ids=["crew spans", "no crew spans"])
@pytest.mark.parametrize(
    "names",
    [("crewai", "openai"), ("crewai",), ("openai",), ()],
    ids=["both", "crewai", "openai", "neither"],
)
def test_whoever_reports_it(
    provider: Provider,
    names: tuple[str, ...],
    spans_of_the_crew: bool,
    spans_of_the_model: bool,
) -> None:
    """Each call is one event with one count of its tokens, by instrumentors and spans of either.

    Where the framework's instrumentor reports, its tree is the one, whatever spans say beside it.
    """
    own = TracerProvider()
    with instrumented(*names) if names else nullcontext(ModelTracer()) as tracing:
        processor = SpanProcessor(tracing)
        own.add_span_processor(processor)
        others = [
            *([CrewAIInstrumentor()] if spans_of_the_crew else []),
            *([OpenAIInstrumentor()] if spans_of_the_model else []),
        ]
        for other in others:
            other.instrument(tracer_provider=own, skip_dep_check=True)
        try:
            with tracing.session():
                crew_of(provider).kickoff()
        finally:
            for other in others:
                other.uninstrument()
            processor.shutdown()

    calls = 2 if names or spans_of_the_model else 0
    assert len(tracing.models) == calls
    assert (tracing.tokens, tracing.failed) == (19 * calls, [])
    for event in tracing.models:
        assert event["config"]["model"] == "m"
        assert event["inputs"]["chat_history"][0]["role"] == "system"
    if calls:
        assert tracing.models[1]["outputs"]["content"] == TEXT
    tools = [path for path in tracing.paths if path.endswith("weather")]
    assert len(tools) == (1 if "crewai" in names or spans_of_the_crew else 0)
    if "crewai" in names:
        assert tracing.paths == TREE


def test_uninstrument(provider: Provider) -> None:
    """Nothing is recorded afterwards, and crews go on."""
    with instrumented("crewai") as tracing:
        pass
    with tracing.session():
        assert str(crew_of(provider).kickoff()) == TEXT

    assert tracing.events == []
