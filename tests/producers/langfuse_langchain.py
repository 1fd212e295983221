# /// script
# dependencies = ["langchain", "langchain-openai", "langfuse"]
# ///
"""Langfuse's handler of LangChain's callbacks: an agent with a tool."""

import os

# --8<-- [start:setup]
from langfuse import Langfuse
from langfuse.langchain import CallbackHandler

os.environ["LANGFUSE_PUBLIC_KEY"] = os.environ["LANGFUSE_SECRET_KEY"] = "any"
client = Langfuse(base_url=os.environ["SESSIONTRACE_URL"])
config = {
    "callbacks": [CallbackHandler()],
    "metadata": {
        "langfuse_session_id": "chat-7", "langfuse_user_id": "ada", "langfuse_tags": ["beta"],
    },
}  # fmt: skip
# --8<-- [end:setup]
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI


def weather(city: str) -> str:
    """The weather of a city."""
    return "rain"


agent = create_agent(
    ChatOpenAI(model="ok"), [weather], system_prompt="Be brief.", name="forecaster"
)
agent.invoke({"messages": [{"role": "user", "content": "What is the weather in Oslo?"}]}, config)
client.shutdown()
