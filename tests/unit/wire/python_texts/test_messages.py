"""Messages of a chat in texts of Python are read as messages; no other text changes."""

from __future__ import annotations

from sessiontrace.wire.python_texts.messages import has_messages, with_messages


def test_haystack_s_messages_are_a_chat() -> None:
    """Texts, calls of tools and their results, wherever they are in a pipeline's data."""
    texts = [
        "ChatMessage(_role=<ChatRole.USER: 'user'>, _content=[TextContent(text='Rain?')])",
        "ChatMessage(_role=<ChatRole.ASSISTANT: 'assistant'>, "
        "_content=[ToolCall(tool_name='weather', arguments={'city': '<A.B: 1>'}, id='c1')])",
        "ChatMessage(_role=<ChatRole.TOOL: 'tool'>, _content=[ToolCallResult(result='rain', "
        "origin=ToolCall(tool_name='weather', arguments={}, id='c1'), error=False)])",
    ]
    assert has_messages(texts[0])
    question, call, result = with_messages({"agent": {"messages": texts}})["agent"]["messages"]
    assert question == {"role": "user", "content": "Rain?"}
    assert call["tool_calls"][0]["function"] == {
        "name": "weather",
        "arguments": {"city": "<A.B: 1>"},
    }
    assert (result["role"], result["content"], result["tool_call_id"]) == ("tool", "rain", "c1")


def test_autogen_s_messages_are_a_chat() -> None:
    """The one that comes from the user is the question."""
    text = (
        "id='1' source='user' metadata={} created_at=datetime.datetime(2026, 11, 29) "
        "content='Rain?' type='TextMessage'"
    )
    assert has_messages(text)
    assert with_messages([text]) == [{"role": "user", "content": "Rain?", "name": "user"}]


def test_any_other_text_stays() -> None:
    """Also one that only begins like a message."""
    texts = ["ChatMessage(_role=", "type='TextMessage'", "a 'Message'", "source= Message'", ""]
    assert with_messages(texts) == texts
