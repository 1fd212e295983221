"""OpenAI's responses API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from support.answers.case import Case, Part, Wire, pieces
from support.answers.openai_chat import openai_client

__all__ = ["WIRE", "composed"]

USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 13,
}
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "cache_read_tokens": 5,
    "cache_write_tokens": 2,
    "reasoning_tokens": 3,
}
COMPLETED = {**COUNTS, "finish_reason": "completed", "response_id": "r1", "response_model": "m-1"}


def reply(*items: Any, **fields: Any) -> dict[str, Any]:
    """A whole response."""
    return {
        "id": "r1",
        "object": "response",
        "created_at": 1,
        "model": "m-1",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": list(items),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": USAGE,
        **fields,
    }


def message(*content: Any, **fields: Any) -> dict[str, Any]:
    """A message item."""
    return {
        "type": "message",
        "id": "msg1",
        "role": "assistant",
        "status": "completed",
        "content": list(content),
        **fields,
    }


def text(words: str, **fields: Any) -> dict[str, Any]:
    """A text part."""
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": [], **fields}


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A function call, as the API has it."""
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def called(call_id: str, name: str, arguments: str, **fields: Any) -> dict[str, Any]:
    """A function call, as events have it."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **fields}


def said(**fields: Any) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": None, **fields}


CITATION = {"type": "url_citation", "start_index": 0, "end_index": 4, "title": "T", "url": "u"}
LOGPROB = {"token": "Hi", "logprob": -0.1, "bytes": [72], "top_logprobs": []}
REASONING = {
    "type": "reasoning",
    "id": "rs1",
    "summary": [
        {"type": "summary_text", "text": "first thought"},
        {"type": "summary_text", "text": "second"},
    ],
    "encrypted_content": "sealed",
    "status": "completed",
}
OPEN_REASONING = {
    "type": "reasoning",
    "id": "rs2",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "step by step"}],
}
SEARCH = {
    "type": "web_search_call",
    "id": "ws1",
    "status": "completed",
    "action": {"type": "search", "query": "news"},
}
MCP = {
    "type": "mcp_call",
    "id": "mcp1",
    "server_label": "docs",
    "name": "lookup",
    "arguments": '{"q":"x"}',
    "output": "found",
    "status": "completed",
}
CODE = {
    "type": "code_interpreter_call",
    "id": "ci1",
    "code": "print(1)",
    "container_id": "c1",
    "status": "completed",
    "outputs": [{"type": "logs", "logs": "1"}],
}
COMPUTER = {
    "type": "computer_call",
    "id": "cu1",
    "call_id": "t9",
    "action": {"type": "click", "x": 1, "y": 2, "button": "left"},
    "pending_safety_checks": [],
    "status": "completed",
}
SHELL = {
    "type": "shell_call",
    "id": "sh1",
    "call_id": "t8",
    "action": {"commands": ["ls -l", "pwd"]},
    "status": "completed",
}
IMAGE = {"type": "image_generation_call", "id": "ig1", "status": "completed", "result": "iVBORw0K"}
CUSTOM = {
    "type": "custom_tool_call",
    "id": "ctc1",
    "call_id": "t3",
    "name": "shell",
    "input": "ls -l",
}
NEW_KIND = {"type": "telepathy_call", "id": "tp1", "thought": "hm"}


def kept(*items: Any) -> list[Any]:
    """Items as events have them: without fields that say nothing."""
    return [
        {name: value for name, value in item.items() if value is not None and value != []}
        for item in items
    ]


CASES = {
    "text": Case(reply(message(text("Hello there"))), said(content="Hello there"), COMPLETED),
    "refusal": Case(
        reply(message({"type": "refusal", "refusal": "I can't"})),
        said(refusal="I can't"),
        COMPLETED,
    ),
    "annotations": Case(
        reply(message(text("News", annotations=[CITATION]))),
        said(content="News", annotations=[CITATION]),
        COMPLETED,
    ),
    "logprobs": Case(reply(message(text("Hi", logprobs=[LOGPROB]))), said(content="Hi"), COMPLETED),
    "reasoning": Case(
        reply(REASONING, OPEN_REASONING, message(text("Hi"))),
        said(
            content="Hi",
            reasoning="first thought\nsecond\nstep by step",
            reasoning_signatures=["sealed"],
        ),
        COMPLETED,
    ),
    "two function calls": Case(
        reply(call("t1", "weather", '{"city":"Oslo"}'), call("t2", "time", "{}")),
        said(tool_calls=[called("t1", "weather", '{"city":"Oslo"}'), called("t2", "time", "{}")]),
        COMPLETED,
    ),
    "a call in a namespace": Case(
        reply({**call("t1", "weather", "{}"), "namespace": "crm"}),
        said(tool_calls=[called("t1", "weather", "{}", namespace="crm")]),
        COMPLETED,
    ),
    "custom tool": Case(
        reply(CUSTOM), said(tool_calls=[called("t3", "shell", "ls -l")]), COMPLETED
    ),
    "tools that ran at the provider": Case(
        reply(SEARCH, MCP, CODE, message(text("Done"))),
        said(content="Done", items=[SEARCH, MCP, CODE]),
        COMPLETED,
    ),
    "computer and shell": Case(
        reply(COMPUTER, SHELL), said(items=kept(COMPUTER, SHELL)), COMPLETED
    ),
    "an image": Case(reply(IMAGE), said(items=[IMAGE]), COMPLETED),
    "an item of a new kind": Case(
        reply(NEW_KIND, message(text("Hi"))), said(content="Hi", items=[NEW_KIND]), COMPLETED
    ),
    "a part of a new kind": Case(
        reply(message(text("Hi"), {"type": "hologram", "voxels": "v"})),
        said(content="Hi", parts=[{"type": "hologram", "voxels": "v"}]),
        COMPLETED,
    ),
    "commentary beside the answer": Case(
        reply(
            message(text("On it. "), phase="commentary"),
            message(text("Done"), id="msg2", phase="final_answer"),
        ),
        said(
            content="On it. Done",
            items=[
                {"type": "message", "id": "msg1", "phase": "commentary"},
                {"type": "message", "id": "msg2", "phase": "final_answer"},
            ],
        ),
        COMPLETED,
    ),
    "the service tier": Case(
        reply(message(text("Hi")), service_tier="priority"),
        said(content="Hi"),
        {**COMPLETED, "service_tier": "priority"},
    ),
    "unknown fields": Case(
        reply(message(text("Hi")), mood={"joy": 1}), said(content="Hi", mood={"joy": 1}), COMPLETED
    ),
    "incomplete": Case(
        reply(
            message(text("Hel")),
            status="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
        said(content="Hel"),
        {**COUNTS, "finish_reason": "max_output_tokens", "response_error": None},
    ),
    "failed": Case(
        reply(
            message(text("Hel")),
            status="failed",
            error={"code": "server_error", "message": "out of order"},
        ),
        said(content="Hel"),
        {
            "finish_reason": "failed",
            "error_code": "server_error",
            "response_error": "out of order",
        },
    ),
}

ITEM_DELTAS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
    "mcp_call": ("arguments", "response.mcp_call_arguments"),
    "code_interpreter_call": ("code", "response.code_interpreter_call_code"),
}


def chunks(whole: Any, size: int = 3) -> list[Any]:
    """The events of a whole response."""
    start = {**whole, "status": "in_progress", "output": [], "usage": None, "error": None}
    events = [{"type": "response.created", "response": start}]
    events.append({"type": "response.in_progress", "response": start})
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        events += [{**place, **event} for event in _item_events(item, size)]
    events.append({"type": f"response.{whole['status']}", "response": whole})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _item_events(item: Any, size: int) -> Iterator[dict[str, Any]]:
    kind = item["type"]
    if kind == "message":
        yield {"type": "response.output_item.added", "item": {**item, "content": []}}
        for index, part in enumerate(item["content"]):
            for event in _part_events(part, size):
                yield {"content_index": index, **event}
    elif kind == "reasoning":
        yield {
            "type": "response.output_item.added",
            "item": {**item, "summary": [], "content": None, "encrypted_content": None},
        }
        yield from _reasoning_events(item, size)
    elif kind in ITEM_DELTAS:
        field, name = ITEM_DELTAS[kind]
        yield {"type": "response.output_item.added", "item": {**item, field: ""}}
        for piece in pieces(item[field], size):
            yield {"type": f"{name}.delta", "delta": piece}
        yield {"type": f"{name}.done", field: item[field]}
    elif kind == "shell_call":
        yield {
            "type": "response.output_item.added",
            "item": {**item, "action": {"commands": []}},
        }
        for index, command in enumerate(item["action"]["commands"]):
            for piece in pieces(command, size):
                yield {
                    "type": "response.shell_call_command.delta",
                    "command_index": index,
                    "delta": piece,
                }
    else:
        yield {"type": "response.output_item.added", "item": item}
    yield {"type": "response.output_item.done", "item": item}


def _part_events(part: Any, size: int) -> Iterator[dict[str, Any]]:
    kind = part["type"]
    if kind == "output_text":
        empty = {**part, "text": "", "annotations": [], "logprobs": []}
        yield {"type": "response.content_part.added", "part": empty}
        for piece in pieces(part["text"], size):
            yield {"type": "response.output_text.delta", "delta": piece, "logprobs": []}
        for index, annotation in enumerate(part["annotations"]):
            yield {
                "type": "response.output_text.annotation.added",
                "annotation_index": index,
                "annotation": annotation,
            }
    elif kind == "refusal":
        yield {"type": "response.content_part.added", "part": {**part, "refusal": ""}}
        for piece in pieces(part["refusal"], size):
            yield {"type": "response.refusal.delta", "delta": piece}
    else:
        yield {"type": "response.content_part.added", "part": part}
    yield {"type": "response.content_part.done", "part": part}


def _reasoning_events(item: Any, size: int) -> Iterator[dict[str, Any]]:
    for index, part in enumerate(item["summary"]):
        empty = {"type": "summary_text", "text": ""}
        yield {
            "type": "response.reasoning_summary_part.added",
            "summary_index": index,
            "part": empty,
        }
        for piece in pieces(part["text"], size):
            yield {
                "type": "response.reasoning_summary_text.delta",
                "summary_index": index,
                "delta": piece,
            }
    for index, part in enumerate(item.get("content") or ()):
        for piece in pieces(part["text"], size):
            yield {
                "type": "response.reasoning_text.delta",
                "content_index": index,
                "delta": piece,
            }


def framed(stream: list[Any]) -> list[bytes]:
    """Server-sent events with their names."""
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in stream]


def ask(url: str, stream: bool) -> Iterator[Any]:
    """With the openai SDK."""
    client = openai_client(url)
    result: Any = client.responses.create(model="ok", input="Hello?", stream=stream)
    if stream:
        with result:
            yield from result


def composed(parts: list[Part]) -> Any:
    """The whole answer that says these parts."""
    items = []
    for number, part in enumerate(parts):
        if part.kind == "text":
            items.append(message(text(part.text), id=f"m{number}"))
        elif part.kind == "reasoning":
            summary = [{"type": "summary_text", "text": part.text}]
            items.append({"type": "reasoning", "id": f"r{number}", "summary": summary})
        else:
            items.append(call(f"t{number}", part.name, json.dumps({"q": part.text})))
    return reply(*items)


WIRE = Wire("openai", "openai", CASES, chunks, framed, ask)
