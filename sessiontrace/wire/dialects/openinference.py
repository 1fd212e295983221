"""OpenInference's instrumentors: what their single attributes and the table of fields do not say.

Pure functions over a draft, no thread owns them. Source: OpenInference's semantic conventions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sessiontrace.wire.dialects.calls import arguments_of, offer_user, python_value
from sessiontrace.wire.dialects.chat_shapes import (
    answers_of,
    chat_of,
    messages_of,
    role_of,
    text_of,
)
from sessiontrace.wire.dialects.control_spans import is_early
from sessiontrace.wire.dialects.draft import Dialect, Draft
from sessiontrace.wire.python_texts.messages import has_messages, with_messages
from sessiontrace.wire.python_texts.unset import stated
from sessiontrace.wire.received_span import DEPTH
from sessiontrace.wire.value_tree import as_lists, json_value, put, whole_json

__all__ = ["OPENINFERENCE"]

_METADATA = {"user_id": "user.id", "session_id": "session.id", "thread_id": "session.id"}
"""Entries of the metadata that LangChain's users name a session and a user by."""


def _translate(draft: Draft) -> None:
    tools = [_tool(item) for item in draft.take_items("llm.tools.")]
    draft.offer("gen_ai.tool.definitions", tools or None)
    for name in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        _translate_parameters(draft, name)
    if entries := draft.take_below("metadata."):  # BeeAI's
        tree: dict[str, Any] = {}
        for path, value in entries.items():
            put(tree, path.split(".", DEPTH), value)
        draft.offer_metadata(as_lists(tree))
    metadata = json_value(draft.get("metadata"))
    if isinstance(metadata, dict):
        metadata = _with_attributes(draft, metadata)
        for name, conventional in _METADATA.items():
            if isinstance(value := metadata.get(name), str) and value:
                draft.offer(conventional, value)
    _translate_embeddings(draft)
    kind = draft.get("openinference.span.kind")
    if kind == "LLM" and draft.span.name.endswith(_PREPARATIONS):
        kind = draft.attributes["openinference.span.kind"] = "CHAIN"
    if kind in ("CHAIN", "AGENT"):
        _complete_chat(draft)
    elif kind == "TOOL":
        _translate_tool(draft)
    elif kind == "LLM":
        _complete_call(draft)
    if is_early(draft.span):
        draft.offer("gen_ai.request.stream", True)


def _with_attributes(draft: Draft, metadata: dict[str, Any]) -> dict[str, Any]:
    """Offer the attributes that a processor of OpenInference's put away; returns the metadata."""
    names = [name for name in metadata if name.startswith("gen_ai.")]
    if names:
        metadata = {name: value for name, value in metadata.items() if name not in names} | {
            name: metadata[name] for name in names if not draft.offer(name, metadata[name])
        }
        draft.attributes["metadata"] = metadata
    return metadata


def _translate_parameters(draft: Draft, name: str) -> None:
    """Read the model that was asked for, and the tools, among the parameters of the request."""
    parameters = python_value(json_value(draft.get(name)))  # Guardrails' are a text of Python
    if not isinstance(parameters, dict):
        return
    left = stated(parameters)
    draft.offer("gen_ai.tool.definitions", left.pop("tools", None) or None)
    offer_user(draft, left)
    for instructions in _INSTRUCTIONS:
        if (text := text_of(left.get(instructions))) is not None:
            draft.offer("gen_ai.system_instructions", [{"type": "text", "content": text}])
            del left[instructions]
    model, answered = left.get("model"), draft.get("llm.model_name")
    if isinstance(model, str) and draft.offer("gen_ai.request.model", model):
        del left["model"]
        if isinstance(answered, str) and draft.offer("gen_ai.response.model", answered):
            draft.take("llm.model_name")
    draft.take(name)
    if left:
        draft.attributes[name] = left


_INSTRUCTIONS = ("system", "instructions", "system_instruction", "systemInstruction")


def _tool(item: Any) -> Any:
    tool = item.get("tool") if isinstance(item, dict) else None
    schema = tool.get("json_schema") if isinstance(tool, dict) else None
    return item if schema is None else whole_json(schema)


def _translate_embeddings(draft: Draft) -> None:
    """Offer the texts, and the number of the vectors, which are too large to be looked at."""
    items = [
        item.get("embedding", item) if isinstance(item, dict) else {}
        for item in draft.take_items("embedding.embeddings.")
    ]
    if isinstance(texts := python_value(draft.get("input.value")), list):  # LiteLLM's
        draft.attributes["input.value"] = {"input": texts}
    texts = [item["text"] for item in items if isinstance(item, dict) and "text" in item]
    draft.offer("input.value", {"input": texts} if texts else None)
    if any(isinstance(item, dict) and "vector" in item for item in items):
        draft.attributes["output.value"] = {"embeddings": len(items)}


def _complete_chat(draft: Draft) -> None:
    """Read a step's chat from its whole input, of which its messages may hold only the roles."""
    for name in ("input.value", "output.value"):
        if has_messages(text := draft.get(name)):
            draft.attributes[name] = with_messages(whole_json(text))
    inputs = whole_json(draft.get("input.value"))
    message = _entry(inputs, "new_message")  # of Google's ADK
    chat = chat_of([message]) if isinstance(message, dict) else chat_of(inputs)
    if chat is not None:
        draft.take_below("llm.input_messages.")
        draft.offer("gen_ai.input.messages", chat)
    if isinstance(inputs, dict) and chat is not None:
        texts = [entry.get("content") for entry in chat]
        draft.attributes["input.value"] = {
            name: value
            for name, value in inputs.items()
            if value not in (None, message, draft.get("user.id"), draft.get("session.id"))
            and not (isinstance(value, str) and value in texts)
            and chat_of(value) != chat
        }
    _offer_event(draft, whole_json(draft.get("output.value")))


def _offer_event(draft: Draft, event: Any) -> None:
    """Offer the answer in an event of Google's ADK, which an agent's step returns."""
    content = _entry(event, "content")
    if not isinstance(content, dict) or "author" not in event:
        return
    if (answers := answers_of({"content": content})) is not None:
        draft.offer("gen_ai.output.messages", answers)
        actions = event.get("actions")
        changes = {k: v for k, v in actions.items() if v} if isinstance(actions, dict) else {}
        draft.offer_metadata({"actions": changes} if changes else {})


def _complete_call(draft: Draft) -> None:
    """Read a call's messages from its whole input and output, where its single ones lack a part."""
    calls = [item.get("tool_call", {}) for item in draft.take_items("message.tool_calls.")]
    for side, read in (("input", chat_of), ("output", answers_of)):
        prefix = f"llm.{side}_messages."
        names = [name for name in draft.attributes if name.startswith(prefix)]
        if not names and side == "output":  # a stream of OpenAI's agents
            reply = whole_json(draft.get("output.value"))
            draft.offer("gen_ai.output.messages", read(reply) if isinstance(reply, list) else None)
        if not names or not _lacks_parts(draft, prefix, names):
            continue
        whole = read(draft.get(f"{side}.value"))
        roles = [
            _role(draft, name)
            for name in sorted(names, key=lambda name: _position(name, prefix))
            if name.endswith(".message.role")
        ]
        if whole and [message["role"] for message in whole] == roles:
            draft.take_below(prefix)
            draft.offer(f"gen_ai.{side}.messages", whole)
    body = draft.get("input.value")
    if isinstance(body, str) and '"tools":' in body and not draft.get("gen_ai.tool.definitions"):
        tools = _entry(whole_json(body), "tools")
        draft.offer("gen_ai.tool.definitions", tools if isinstance(tools, list) else None)
    draft.rename({"llm.stop_reason": "llm.finish_reason"})
    if calls:  # which Google's SDK made by itself
        draft.offer_metadata({"automatic_calls": messages_of({"tool_calls": calls}, "assistant")})
    if isinstance(text := draft.get("output.value"), str) and _OBJECT.fullmatch(text):
        draft.take("output.value")


def _role(draft: Draft, name: str) -> str:
    """The role in an attribute; a result of a tool may have that of the user, as Bedrock has it."""
    role = role_of(draft.get(name))
    call_id = f"{name.removesuffix('role')}tool_call_id"
    return "tool" if role == "user" and call_id in draft.attributes else role


def _position(name: str, prefix: str) -> int:
    number = name[len(prefix) :].partition(".")[0]
    return int(number) if number.isdecimal() else -1


def _entry(value: Any, name: str) -> Any:
    return (value.get(name) or None) if isinstance(value, dict) else None


_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>")
"""What Python shows of an object without a text of its own, such as an unread stream."""


def _lacks_parts(draft: Draft, prefix: str, names: Iterable[str]) -> bool:
    """Whether a message has its role alone, a call lacks its id, or a result a part of it."""
    fields: dict[str, set[str]] = {}
    for name in names:
        position, _, field = name[len(prefix) :].partition(".message.")
        fields.setdefault(position, set()).add(field)
    for position, present in fields.items():
        if present == {"role"}:
            return True
        if _role(draft, f"{prefix}{position}.message.role") == "tool":
            if "tool_call_id" not in present or not any("content" in name for name in present):
                return True
            continue
        calls = {field.removesuffix("function.name") for field in present
                 if field.endswith("tool_call.function.name")}  # fmt: skip
        if any(f"{call}id" not in present for call in calls):
            return True
    return False


_OF_CALLS = {
    "tool_call.id": "gen_ai.tool.call.id",
    "tool.id": "gen_ai.tool.call.id",
    "tool_call.function.name": "tool.name",
    "tool_call.function.arguments": "gen_ai.tool.call.arguments",
}


def _translate_tool(draft: Draft) -> None:
    """Read the text of a message of LangChain's; drop a copy of the input."""
    draft.rename(_OF_CALLS)
    if whole_json(draft.get("tool.parameters")) == whole_json(draft.get("input.value")):
        draft.take("tool.parameters")
    inputs = whole_json(draft.get("input.value"))
    if isinstance(inputs, dict):
        inputs.pop("sanitize_inputs_outputs", None)  # of smolagents' own
        draft.attributes["input.value"] = arguments_of(inputs)
    output = whole_json(draft.get("output.value"))
    data = output.get("data") if isinstance(output, dict) else None
    if isinstance(data, dict) and output.get("type") == "tool" and not data.get("artifact"):
        draft.attributes["output.value"] = data.get("content")
        draft.offer("gen_ai.tool.call.id", data.get("tool_call_id"))


_PREPARATIONS = ("._prepare_chat_with_tools", ".get_tool_calls_from_response")
"""Ends of the names of LlamaIndex's functions that its models have and that call none."""

OPENINFERENCE = Dialect(frozenset({"openinference", "llm", "embedding"}), _translate)
