"""An agent of OpenAI's SDK with a tool: agent, turns, tool and model calls in one session.

    pip install openai-agents sessiontrace && python examples/openai_agents.py
    sessiontrace sessions show last

Runs against the model server beside this file; set OPENAI_API_KEY (and MODEL) to use a real one.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Any

import sessiontrace as st

st.init(service="openai-agents-example")
st.instrument()

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool  # noqa: E402
from model_server import model_server  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402


@function_tool
def weather(city: str) -> str:
    """The weather in a city today."""
    return f"It is 21 degrees and sunny in {city}."


async def main() -> None:
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {}
        if "OPENAI_API_KEY" not in os.environ:
            url = await stack.enter_async_context(model_server())
            options = {"base_url": url, "api_key": "none"}
        client = await stack.enter_async_context(AsyncOpenAI(**options))
        model = OpenAIChatCompletionsModel(os.environ.get("MODEL", "gpt-4o-mini"), client)
        guide = Agent(name="guide", instructions="Help.", tools=[weather], model=model)
        async with st.session("trip to Lisbon"):
            result = await Runner.run(guide, "What is the weather in Lisbon?")
        print(result.final_output)


if __name__ == "__main__":
    asyncio.run(main())
