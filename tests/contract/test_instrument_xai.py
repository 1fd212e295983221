"""xai-sdk against a stub gRPC server, in its own environment: whole, streamed, async, several."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from support.instrumented import instrumented
from support.own_environment import import_or_skip

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

WORDS = ("Hello", " from", " the", " stub")


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server that answers every chat."""
    grpc = import_or_skip("grpc")
    from xai_sdk.proto import chat_pb2, chat_pb2_grpc, sample_pb2, usage_pb2

    usage = usage_pb2.SamplingUsage(
        prompt_tokens=12,
        completion_tokens=4,
        reasoning_tokens=3,
        total_tokens=19,
        cached_prompt_text_tokens=5,
    )
    assistant = chat_pb2.MessageRole.ROLE_ASSISTANT
    stop = sample_pb2.FinishReason.REASON_STOP

    class Chat(chat_pb2_grpc.ChatServicer):
        def GetCompletion(self, request: Any, context: Any) -> Any:
            if request.model == "bad":
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no luck")
            message = chat_pb2.CompletionMessage(content="".join(WORDS), role=assistant)
            outputs = [
                chat_pb2.CompletionOutput(index=index, message=message, finish_reason=stop)
                for index in range(max(request.n, 1))
            ]
            return chat_pb2.GetChatCompletionResponse(
                id="r1", model="ok-2026", outputs=outputs, usage=usage
            )

        def GetCompletionChunk(self, request: Any, context: Any) -> Any:
            for number, word in enumerate(WORDS):
                delta = chat_pb2.Delta(content=word, role=assistant)
                output = chat_pb2.CompletionOutputChunk(index=0, delta=delta)
                if number == 3:
                    output.finish_reason = stop
                yield chat_pb2.GetChatCompletionChunk(
                    id="r1",
                    model="ok-2026",
                    outputs=[output],
                    usage=usage if number == 3 else None,
                )

    server = grpc.server(ThreadPoolExecutor(4))
    chat_pb2_grpc.add_ChatServicer_to_server(Chat(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(10)


@pytest.mark.asyncio
async def test_chats() -> None:
    """The same answer and tokens in each form; one broken off, one refused."""
    xai = import_or_skip("xai_sdk")
    from xai_sdk.chat import system, user

    with serving() as address, instrumented("xai-sdk", waiting=True) as tracing:
        how = {"api_key": "k", "api_host": address, "use_insecure_channel": True}
        client, later = xai.Client(**how), xai.AsyncClient(**how)
        question = [system("Be kind"), user("Hello?")]
        with tracing.session():
            chat = client.chat.create(model="ok", messages=question, temperature=0.5)
            assert chat.sample().content == "".join(WORDS)
            assert len(list(chat.stream())) == 4
            async_chat = later.chat.create(model="ok", messages=question)
            await async_chat.sample()
            async for _ in async_chat.stream():
                pass
            same = list(tracing.events)
            chat.sample_batch(2)
            stream = chat.stream()
            next(stream)
            stream.close()
            with pytest.raises(Exception, match="no luck"):
                client.chat.create(model="bad", messages=question).sample()
        client.close()
        await later.close()

    for event in same:
        assert event["event_name"] == "chat ok"
        assert event["config"]["provider"] == "x_ai"
        assert event["inputs"]["chat_history"] == [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": "Hello?"},
        ]
        assert event["outputs"] == {"role": "assistant", "content": "".join(WORDS)}
        metadata = event["metadata"]
        assert metadata["prompt_tokens"] + metadata["completion_tokens"] == 19
        assert (metadata["cache_read_tokens"], metadata["reasoning_tokens"]) == (5, 3)
        assert metadata["response_model"] == "ok-2026"
    batch, broken, failed = tracing.events[4:]
    assert len(same) == 4
    assert len(batch["outputs"]["choices"]) == 2
    assert broken["outputs"]["content"] == "Hello"
    assert broken["metadata"]["stream_end"] == "closed"
    assert "no luck" in failed["error"]
