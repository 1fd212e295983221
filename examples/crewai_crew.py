"""A crew of CrewAI with a tool: the crew, its task, agent, tool and model calls in one session.

    pip install crewai sessiontrace && python examples/crewai_crew.py
    sessiontrace sessions show last

Runs against the model server beside this file; set OPENAI_API_KEY (and MODEL) to use a real one.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

import sessiontrace as st

st.init(service="crewai-example")
st.instrument()

from crewai import LLM, Agent, Crew, Task  # noqa: E402
from crewai.tools import tool  # noqa: E402
from model_server import model_server  # noqa: E402


@tool("weather")
def weather(city: str) -> str:
    """The weather in a city today."""
    return f"It is 21 degrees and sunny in {city}."


async def main() -> None:
    async with AsyncExitStack() as stack:
        options = {"model": os.environ.get("MODEL", "gpt-4o-mini")}
        if "OPENAI_API_KEY" not in os.environ:
            url = await stack.enter_async_context(model_server())
            options |= {"base_url": url, "api_key": "none", "provider": "openai"}
        agent = Agent(
            role="guide",
            goal="Tell travellers what to expect",
            backstory="You have lived in Lisbon for years.",
            tools=[weather],
            llm=LLM(**options),
        )
        task = Task(
            description="Say what the weather in Lisbon is like today.",
            expected_output="One sentence",
            agent=agent,
        )
        async with st.session("trip to Lisbon"):
            print(await Crew(agents=[agent], tasks=[task]).kickoff_async())


if __name__ == "__main__":
    asyncio.run(main())
