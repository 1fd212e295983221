# /// script
# dependencies = ["traceloop-sdk", "langchain", "langchain-openai", "langgraph"]
# ///
"""Traceloop's SDK (OpenLLMetry) and LangChain: an agent with a tool."""

import os

# --8<-- [start:setup]
from traceloop.sdk import Traceloop

Traceloop.init(app_name="shop", api_endpoint=os.environ["SESSIONTRACE_URL"], disable_batch=True)
Traceloop.set_association_properties({"session_id": "chat-7", "user_id": "ada"})
# --8<-- [end:setup]
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI


def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


agent = create_agent(
    ChatOpenAI(model="ok"), [weather], system_prompt="Be brief.", name="forecaster"
)
agent.invoke({"messages": [{"role": "user", "content": "What is the weather in Oslo?"}]})
