"""An agent of LangGraph with a tool: the graph, its nodes, tool and model calls in one session.

    pip install langgraph langchain-openai sessiontrace && python examples/langgraph_agent.py
    sessiontrace sessions show last

Runs against the model server beside this file; set OPENAI_API_KEY (and MODEL) to use a real one.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Any

import sessiontrace as st

st.init(service="langgraph-example")
st.instrument()

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402
from langgraph.graph import END, START, MessagesState, StateGraph  # noqa: E402
from model_server import model_server  # noqa: E402


@tool
def weather(city: str) -> str:
    """The weather in a city today."""
    return f"It is 21 degrees and sunny in {city}."


def graph_of(model: ChatOpenAI) -> Any:
    """Two nodes: the model, and the tools that it asks for."""
    asking = model.bind_tools([weather])

    async def ask(state: MessagesState) -> dict[str, list[BaseMessage]]:
        return {"messages": [await asking.ainvoke(state["messages"])]}

    async def use(state: MessagesState) -> dict[str, list[ToolMessage]]:
        calls = getattr(state["messages"][-1], "tool_calls", [])
        return {"messages": [await weather.ainvoke(call) for call in calls]}

    def route(state: MessagesState) -> str:
        return "use" if getattr(state["messages"][-1], "tool_calls", None) else END

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("use", use)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", route)
    graph.add_edge("use", "ask")
    return graph.compile(name="guide")


async def main() -> None:
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {"model": os.environ.get("MODEL", "gpt-4o-mini")}
        if "OPENAI_API_KEY" not in os.environ:
            url = await stack.enter_async_context(model_server())
            options |= {"base_url": url, "api_key": "none"}
        graph = graph_of(ChatOpenAI(**options))
        question = HumanMessage("What is the weather in Lisbon?")
        async with st.session("trip to Lisbon"):
            result = await graph.ainvoke({"messages": [question]})
        print(result["messages"][-1].content)


if __name__ == "__main__":
    asyncio.run(main())
