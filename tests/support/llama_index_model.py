"""A model of LlamaIndex on the openai SDK, as LlamaIndex's integrations are built.

The package ``llama-index-llms-openai`` needs an older openai than the one that the tests install.
"""

from __future__ import annotations

import json
from typing import Any

import openai
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection

__all__ = ["OpenAIModel"]


class OpenAIModel(FunctionCallingLLM):
    """Whole and streamed, sync and async; the request of a stream is made when it is read."""

    url: str
    model: str = "m"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            model_name=self.model, is_chat_model=True, is_function_calling_model=True
        )

    def _request(self, messages: Any, options: dict[str, Any]) -> dict[str, Any]:
        history = [
            {"role": message.role.value, "content": message.content, **message.additional_kwargs}
            for message in messages
        ]
        return {"model": self.model, "messages": history, **options}

    def _stream(self, messages: Any, options: dict[str, Any]) -> dict[str, Any]:
        usage = {"include_usage": True}
        return {**self._request(messages, options), "stream": True, "stream_options": usage}

    @llm_chat_callback()
    def chat(self, messages: Any, **options: Any) -> ChatResponse:
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key="k", max_retries=0) as client:
            return _response(client.chat.completions.create(**self._request(messages, options)))

    @llm_chat_callback()
    async def achat(self, messages: Any, **options: Any) -> ChatResponse:
        async with openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="k") as client:
            request = self._request(messages, options)
            return _response(await client.chat.completions.create(**request))

    @llm_chat_callback()
    def stream_chat(self, messages: Any, **options: Any) -> Any:
        def read() -> Any:
            assembled = _Assembled()
            with openai.OpenAI(base_url=f"{self.url}/v1", api_key="k", max_retries=0) as client:
                request = self._stream(messages, options)
                for chunk in client.chat.completions.create(**request):
                    yield assembled.add(chunk)

        return read()

    @llm_chat_callback()
    async def astream_chat(self, messages: Any, **options: Any) -> Any:
        async def read() -> Any:
            assembled = _Assembled()
            async with openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="k") as client:
                request = self._stream(messages, options)
                async for chunk in await client.chat.completions.create(**request):
                    yield assembled.add(chunk)

        return read()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **options: Any) -> Any:
        return _completion(self.chat([ChatMessage(role="user", content=prompt)], **options))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **options: Any) -> Any:
        return _completion(await self.achat([ChatMessage(role="user", content=prompt)], **options))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **options: Any) -> Any:
        def read() -> Any:
            for response in self.stream_chat([ChatMessage(role="user", content=prompt)]):
                yield _completion(response)

        return read()

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **options: Any) -> Any:
        async def read() -> Any:
            async for response in await self.astream_chat(
                [ChatMessage(role="user", content=prompt)]
            ):
                yield _completion(response)

        return read()

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, **options: Any
    ) -> dict[str, Any]:
        messages = list(chat_history or [])
        if user_msg:
            messages.append(ChatMessage(role="user", content=str(user_msg)))
        return {
            "messages": messages,
            "tools": [tool.metadata.to_openai_tool() for tool in tools] or openai.omit,
        }

    def get_tool_calls_from_response(self, response: Any, *args: Any, **options: Any) -> Any:
        selections = []
        for call in response.message.additional_kwargs.get("tool_calls", []):
            try:
                arguments = json.loads(call["function"]["arguments"])
            except ValueError:  # a stream that has not come to their end
                continue
            selections.append(
                ToolSelection(
                    tool_id=call["id"], tool_name=call["function"]["name"], tool_kwargs=arguments
                )
            )
        return selections


class _Assembled:
    """The answer of a stream so far, as each response of LlamaIndex holds it."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[dict[str, Any]] = []

    def add(self, chunk: Any) -> ChatResponse:
        delta = chunk.choices[0].delta if chunk.choices else None
        piece = (delta.content or "") if delta else ""
        self.text += piece
        for call in (delta.tool_calls or ()) if delta else ():
            if call.id:
                self.calls.append(call.model_dump(exclude={"index"}))
            else:
                self.calls[-1]["function"]["arguments"] += call.function.arguments
        kwargs = {"tool_calls": self.calls} if self.calls else {}
        message = ChatMessage(role="assistant", content=self.text, additional_kwargs=kwargs)
        return ChatResponse(message=message, delta=piece, raw=chunk)


def _response(completion: Any) -> ChatResponse:
    answer = completion.choices[0].message
    calls = [call.model_dump() for call in answer.tool_calls or ()]
    kwargs = {"tool_calls": calls} if calls else {}
    message = ChatMessage(role="assistant", content=answer.content, additional_kwargs=kwargs)
    return ChatResponse(message=message, raw=completion)


def _completion(response: ChatResponse) -> CompletionResponse:
    return CompletionResponse(
        text=response.message.content or "", delta=response.delta, raw=response.raw
    )
