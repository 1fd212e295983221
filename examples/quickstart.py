"""A small travel agent: it plans with a model, calls two tools, and answers.

One of the tools fails the first time and is tried again. Runs by itself against the model server
beside this file; set OPENAI_API_KEY and OPENAI_BASE_URL (and MODEL) to use a real one.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from model_server import model_server

import sessiontrace as st

MODEL = os.environ.get("MODEL", "gpt-4o-mini")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    for name, description in {
        "weather": "The weather in a city today.",
        "sights": "What to see in a city.",
    }.items()
]

flaky = iter([TimeoutError("the weather station did not answer")])


@st.tool
async def weather(city: str) -> str:
    await asyncio.sleep(0.03)
    for error in flaky:
        raise error
    return f"It is 21 degrees and sunny in {city}."


@st.tool
async def sights(city: str) -> str:
    await asyncio.sleep(0.05)
    return f"In {city} do not miss the old harbour."


@st.model
async def ask_model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {"model": MODEL, "messages": messages}
    if tools:
        body["tools"] = tools
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as reply:
        reply.raise_for_status()
        completion = await reply.json()
    st.update(config={"model": MODEL, "provider": "openai"}, metadata=completion["usage"])
    message: dict[str, Any] = completion["choices"][0]["message"]
    return message


@st.trace
async def call_tool(name: str, city: str) -> str:
    tool = {"weather": weather, "sights": sights}[name]
    for attempt in range(3):
        try:
            return await tool(city)
        except TimeoutError:
            st.update(metadata={"retries": attempt + 1})
    return f"{name} is not available now."


@st.trace
async def agent(question: str) -> str:
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    plan = await ask_model(messages, TOOLS)
    messages.append(plan)
    calls = plan.get("tool_calls") or []
    results = await asyncio.gather(
        *(
            call_tool(call["function"]["name"], json.loads(call["function"]["arguments"])["city"])
            for call in calls
        )
    )
    for call, result in zip(calls, results, strict=True):
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    answer = await ask_model(messages, [])
    return str(answer["content"])


async def main() -> None:
    st.init("local", service="quickstart")
    async with AsyncExitStack() as stack:
        if "OPENAI_API_KEY" not in os.environ:
            os.environ["OPENAI_BASE_URL"] = await stack.enter_async_context(model_server())
        question = "What should I do today in Genoa?"
        async with st.session("travel-agent", user="ada", inputs={"question": question}) as session:
            answer = await agent(question)
            session.set(outputs={"answer": answer})
    print(f"{question}\n{answer}\n")
    print(f"delivery {await st.aflush()}")


if __name__ == "__main__":
    asyncio.run(main())
