"""The agent application: a conversation of three turns, the same code through each SDK.

    python agent.py SDK BACKEND URL MODEL_URL PROJECT

runs it in the environment of the SDK, sends its spans to the backend, and prints the versions of
what it ran with, as a line of JSON. ``sdks`` says what an SDK must offer.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib import metadata
from typing import Any

from facts import DOCUMENTS, LATE_SCORE, MODEL, PLACES, QUESTIONS, SCORE, TEMPERATURE, TOOLS
from openai import OpenAI
from sdks import SDK


class TravelAgent:
    """An agent that looks for documents, asks the model, calls its tool and streams the answer."""

    def __init__(self, sdk: SDK, model_url: str) -> None:
        self._client = OpenAI(api_key="none", base_url=model_url, max_retries=0)
        self._search = sdk.retriever(self._search_documents, name="search")
        self._weather = sdk.tool(weather, name="weather")
        self._answer = sdk.agent(self._find_answer, name="travel_agent")
        self._score = sdk.score
        self.handle = sdk.turn(self._handle, name="travel")

    def _handle(self, question: str) -> str:
        answer = str(self._answer(question))
        if question == QUESTIONS[0]:
            self._score(*SCORE)
        return answer

    def _search_documents(self, query: str) -> list[dict[str, Any]]:
        self._client.embeddings.create(model="text-embedding-3-small", input=query)
        return DOCUMENTS

    def _find_answer(self, question: str) -> str:
        texts = " ".join(document["content"] for document in self._search(question))
        chat: list[Any] = [
            {"role": "system", "content": f"You are a travel agent. {texts}"},
            {"role": "user", "content": question},
        ]
        message = self._client.chat.completions.create(
            model=MODEL, temperature=TEMPERATURE, messages=chat, tools=TOOLS
        ).choices[0].message  # fmt: skip
        calls = message.tool_calls or []
        if calls:
            chat.append(message.model_dump(exclude_none=True))
        chat.extend(
            {"role": "tool", "tool_call_id": call.id, "content": self._call(call)} for call in calls
        )
        return self._stream(chat)

    def _call(self, call: Any) -> str:
        try:
            return str(self._weather(**json.loads(call.function.arguments)))
        except LookupError as error:
            return f"error: {error}"

    def _stream(self, chat: list[Any]) -> str:
        chunks = self._client.chat.completions.create(
            model=MODEL, messages=chat, stream=True, stream_options={"include_usage": True}
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def weather(city: str) -> dict[str, Any]:
    """The tool: the weather in a city."""
    try:
        return {"city": city, "celsius": PLACES[city]}
    except KeyError as error:
        raise LookupError(f"no weather station in {city}") from error


def main(name: str, backend: str, url: str, model_url: str, project: str) -> None:
    """Run the conversation through one SDK."""
    module = importlib.import_module(f"sdk_{name}")
    sdk: SDK = module.connect(backend, url, project)
    agent = TravelAgent(sdk, model_url)
    for question in QUESTIONS:
        agent.handle(question)
    sdk.score_conversation(*LATE_SCORE)
    sdk.stop()
    print(json.dumps({package: _version(package) for package in module.PACKAGES}))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # ours, run from its sources
        return str(sys.modules[package].__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
