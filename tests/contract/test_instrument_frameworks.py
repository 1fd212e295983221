"""Pydantic AI: its own tracing interface, one event for each model call."""

from __future__ import annotations

from typing import Any

import pytest
from support.instrumented import instrumented
from support.stubs.openai_api import ROUTES, TEXT
from support.stubs.provider import serving

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


def answers(body: dict[str, Any]) -> Any:
    """Asks for the tool first, and answers once it was given the tool's result."""
    has_answer = any(message.get("role") == "tool" for message in body.get("messages", ()))
    return ROUTES["/v1/chat/completions"]({**body, "model": "ok" if has_answer else "tools"})


@pytest.mark.asyncio
@pytest.mark.parametrize("both", [False, True])
async def test_pydantic_ai(both: bool) -> None:
    """An agent, its two model calls and its tool; with the openai SDK too, nothing doubles."""
    pydantic_ai = pytest.importorskip("pydantic_ai", reason="the contract group is not installed")
    import openai
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    with instrumented(*(("pydantic-ai", "openai") if both else ("pydantic-ai",))) as listening:
        with serving({**ROUTES, "/v1/chat/completions": answers}) as stub:
            client = openai.AsyncOpenAI(base_url=f"{stub.url}/v1", api_key="k")
            model = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))
            agent = pydantic_ai.Agent(model, name="helper")

            @agent.tool_plain
            def weather(city: str) -> str:
                """Report the weather."""
                with listening.span("look up"):
                    return f"rain in {city}"

            with listening.session():
                result = await agent.run("Weather in Oslo?")
            await client.close()

    assert result.output == TEXT
    by_type: dict[str, list[dict[str, Any]]] = {"model": [], "tool": [], "chain": []}
    for event in listening.events:
        by_type[event["event_type"]].append(event)
    assert len(by_type["model"]) == 2
    (tool,) = by_type["tool"]
    assert tool["event_name"] == "weather"
    assert tool["inputs"] == {"city": "Oslo"}
    assert by_type["model"][1]["outputs"]["content"] == TEXT
    assert by_type["model"][1]["metadata"]["total_tokens"] == 19
    (inner,) = [event for event in by_type["chain"] if event["event_name"] == "look up"]
    assert inner["parent_id"] == tool["event_id"]
