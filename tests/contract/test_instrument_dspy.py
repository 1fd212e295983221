"""DSPy: modules, tools and language models by a callback, each once, beside a program's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.stubs.openai_api import ROUTES
from support.stubs.provider import Provider, serving

dspy = pytest.importorskip("dspy", reason="the contract group is not installed")

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

CALL = (
    "[[ ## next_thought ## ]]\nx\n\n[[ ## next_tool_name ## ]]\n%s\n\n"
    "[[ ## next_tool_args ## ]]\n%s"
)
ANSWER = "[[ ## reasoning ## ]]\nbecause\n\n[[ ## answer ## ]]\nrain\n\n[[ ## completed ## ]]"


def answers(body: dict[str, Any]) -> Any:
    """What DSPy's chat adapter reads: the tool first, then the end, then the answer."""
    asked, text = str(body["messages"]), ANSWER
    if "next_tool_name" in asked:
        seen = "observation_0" in body["messages"][-1]["content"]
        text = CALL % (("finish", "{}") if seen else ("weather", '{"city":"Oslo"}'))
        text += "\n\n[[ ## completed ## ]]"
    completion = ROUTES["/v1/chat/completions"]({**body, "model": "ok", "stream": False})
    completion["choices"][0]["message"]["content"] = text
    return completion


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving({**ROUTES, "/v1/chat/completions": answers}) as running:
        yield running


@pytest.fixture(params=[False, True], ids=["alone", "with-sdks"])
def tracing(request: pytest.FixtureRequest) -> Iterator[ModelTracer]:
    with instrumented("dspy", *(["litellm", "openai"] if request.param else [])) as tracer:
        yield tracer


def language_model(provider: Provider, model: str = "m") -> Any:
    options: dict[str, Any] = {"api_base": f"{provider.url}/v1", "api_key": "k", "cache": False}
    return dspy.LM(f"openai/{model}", num_retries=0, **options)


def weather(city: str) -> str:
    """Report the weather."""
    return f"rain in {city}"


def test_an_agent(tracing: ModelTracer, provider: Provider) -> None:
    """ReAct with a tool: three model calls, each below its module, and the tool once."""
    with dspy.context(lm=language_model(provider)), tracing.session():
        dspy.ReAct("question -> answer", tools=[weather])(question="Weather?")
        with tracing.span("after"):
            pass

    assert tracing.paths == [
        "ReAct",
        "ReAct/ChainOfThought",
        "ReAct/ChainOfThought/Predict",
        "ReAct/ChainOfThought/Predict/chat m",
        "ReAct/Predict",
        "ReAct/Predict",
        "ReAct/Predict/chat m",
        "ReAct/Predict/chat m",
        "ReAct/weather",
        "after",
    ]
    assert tracing.tokens == 3 * 19
    assert tracing.failed == []
    tool, agent = tracing.event("weather"), tracing.event("ReAct")
    assert (tool["event_type"], tool["inputs"]) == ("tool", {"city": "Oslo"})
    assert agent["inputs"] == {"question": "Weather?"}
    assert agent["outputs"]["answer"] == "rain"
    assert tracing.models[0]["config"]["provider"] == "openai"


@pytest.mark.asyncio
async def test_async_and_parallel(tracing: ModelTracer, provider: Provider) -> None:
    """acall, and threads: every call below the span that made it."""
    predict = dspy.Predict("question -> answer")

    class Threads(dspy.Module):  # type: ignore[misc]
        def forward(self) -> Any:
            parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)
            return parallel([(predict, {"question": f"{number}?"}) for number in range(3)])

    with dspy.context(lm=language_model(provider)), tracing.session():
        with tracing.span("async"):
            await predict.acall(question="Weather?")
        Threads()()

    assert [path for path in tracing.paths if "chat" in path] == [
        *["Threads/Predict/chat m"] * 3,
        "async/Predict/chat m",
    ]
    assert tracing.tokens == 4 * 19


def test_a_failing_model(tracing: ModelTracer, provider: Provider) -> None:
    """The model's event has the inputs and the error; so has the module's."""
    with dspy.context(lm=language_model(provider, "status-400")), tracing.session():
        with pytest.raises(Exception, match="no luck"):
            dspy.Predict("question -> answer")(question="Weather?")

    assert set(tracing.failed) == {"Predict", "chat status-400"}
    assert all("Weather?" in str(event["inputs"]) for event in tracing.models)


def test_the_programs_own_callbacks_stay(provider: Provider) -> None:
    """Both are called; afterwards only the program's."""
    from dspy.utils.callback import BaseCallback

    calls: list[str] = []

    class Theirs(BaseCallback):  # type: ignore[misc]
        def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            calls.append(type(instance).__name__)

    predict = dspy.Predict("question -> answer")
    with dspy.context(lm=language_model(provider), callbacks=[Theirs()]):
        with instrumented("dspy") as tracing, tracing.session():
            predict(question="Weather?")
        predict(question="Weather?")

    assert calls == ["Predict", "Predict"]
    assert tracing.paths == ["Predict", "Predict/chat m"]
