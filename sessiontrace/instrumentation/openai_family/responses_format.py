"""OpenAI's responses API: requests, answers and stream events.

Pure functions, on the thread of the call. Invariant: a streamed response gives the same event as a
whole one. The last event of its stream carries the response whole; a stream that is cut gives the
items as far as they have come, in the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.model_methods import read_answer
from sessiontrace.instrumentation.core.response_fields import (
    get_field,
    in_order,
    joined,
    other_fields,
    pick,
    plain,
    reader,
    require_object,
    tool_call,
    without_none,
)

_HYPERPARAMETERS = frozenset(
    {
        "temperature",
        "top_p",
        "max_output_tokens",
        "max_tool_calls",
        "reasoning",
        "text",
        "tool_choice",
        "parallel_tool_calls",
        "service_tier",
        "truncation",
        "stream",
        "store",
        "background",
        "previous_response_id",
    }
)

_FINAL_EVENTS = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)


def response_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and hyperparameters of a request's body."""
    model_input = body.get("input")
    history: Any = model_input or []
    if isinstance(model_input, str):
        history = [{"role": "user", "content": model_input}]
    instructions = body.get("instructions")
    if isinstance(instructions, str) and isinstance(history, list):
        history = [{"role": "system", "content": instructions}, *history]
    inputs = {"chat_history": history, **pick(body, {"prompt"})}
    return inputs, pick(body, _HYPERPARAMETERS)


def response_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole response, and the error of one that failed."""
    require_object(result)
    return _answer(result, get_field(result, "output") or ())


# What a response says of its request, and what its metadata has.
_RESPONSE_FIELDS = frozenset(
    {"id", "object", "created_at", "completed_at", "model", "status", "output", "usage", "error"}
    | {"incomplete_details", "background", "conversation", "frequency_penalty", "instructions"}
    | {"max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls"}
    | {"presence_penalty", "previous_response_id", "prompt", "prompt_cache_key"}
    | {"prompt_cache_retention", "prompt_cache_options", "reasoning", "safety_identifier"}
    | {"service_tier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs"}
    | {"top_p", "truncation", "user", "billing", "tool_usage", "output_text", "output_parsed"}
)


def _answer(result: Any, items: Any) -> Answer:
    get = reader(result)
    metadata = usage_of_response(get("usage"))
    metadata["response_id"] = get("id")
    metadata["response_model"] = get("model")
    metadata["service_tier"] = get("service_tier")
    metadata["finish_reason"] = get_field(get("incomplete_details"), "reason") or _text_or_none(
        get("status")
    )
    failure = get("error")
    if failure is not None or get("status") == "failed":
        code = metadata["error_code"] = get_field(failure, "code")
        message = get_field(failure, "message") or code
        metadata["response_error"] = str(message or "the response failed")
    outputs = {**_outputs(items), **other_fields(result, _RESPONSE_FIELDS)}
    return Answer(outputs, without_none(metadata))


def _text_or_none(value: Any) -> Any:
    return None if value is None else str(value)


def usage_of_response(usage: Any) -> dict[str, Any]:
    """Token counts, None where there is none."""
    if usage is None:
        return {}
    get = reader(usage)
    inputs = reader(get("input_tokens_details"))
    outputs = reader(get("output_tokens_details"))
    return {
        "prompt_tokens": get("input_tokens"),
        "completion_tokens": get("output_tokens"),
        "total_tokens": get("total_tokens"),
        "cache_read_tokens": inputs("cached_tokens"),
        "cache_write_tokens": inputs("cache_write_tokens"),
        "reasoning_tokens": outputs("reasoning_tokens"),
        "prompt_image_tokens": inputs("image_tokens") or None,
        "completion_image_tokens": outputs("image_tokens") or None,
    }


_PART_FIELDS = {"output_text": "text", "text": "text", "refusal": "refusal"}
_PART_KNOWN = frozenset({"type", "text", "refusal", "annotations", "logprobs", "parsed"})
_MESSAGE_KNOWN = frozenset({"role", "status", "content"})
_CALL_KNOWN = frozenset({"type", "id", "call_id", "name", "arguments", "input", "status"})
_PARSED = frozenset({"parsed_arguments"})


def _outputs(items: Any) -> dict[str, Any]:
    """The items as one message; those that no field of a message is for stay as they are."""
    parts: dict[str, list[Any]] = {
        name: []
        for name in ("text", "refusal", "annotations", "parts", "logprobs", "reasoning", "items")
    }
    signatures: list[Any] = []
    calls: list[dict[str, Any]] = []
    for item in items:
        get = reader(item)
        kind = get("type")
        if kind == "message":
            _add_message(parts, item)
        elif kind in ("function_call", "custom_tool_call"):
            arguments = get("arguments" if kind == "function_call" else "input")
            call = tool_call(get("call_id"), get("name"), arguments)
            calls.append({**call, **other_fields(item, _CALL_KNOWN | _PARSED)})
        elif kind == "reasoning":
            for part in (*(get("summary") or ()), *(get("content") or ())):
                if text := get_field(part, "text"):
                    parts["reasoning"].append(text)
            if signature := get("encrypted_content"):
                signatures.append(signature)
        else:
            parts["items"].append(plain(item))
    outputs: dict[str, Any] = {"role": "assistant", "content": joined(parts["text"]) or None}
    fields = {
        "tool_calls": calls,
        "reasoning": joined(parts["reasoning"], "\n"),
        "reasoning_signatures": signatures,
        "refusal": joined(parts["refusal"]),
        **{name: parts[name] for name in ("annotations", "parts", "items", "logprobs")},
    }
    outputs.update({name: value for name, value in fields.items() if value})
    return outputs


def _add_message(parts: dict[str, list[Any]], message: Any) -> None:
    """A message item: its parts, and beside them what else it says."""
    for part in get_field(message, "content") or ():
        get = reader(part)
        field = _PART_FIELDS.get(get("type") or "text")
        if field is None or other_fields(part, _PART_KNOWN):
            parts["parts"].append(plain(part))
        if field is not None:
            parts[field].append(get(field) or "")
            parts["annotations"].extend(plain(get("annotations")) or ())
            parts["logprobs"].extend(plain(get("logprobs")) or ())
    others = other_fields(message, _MESSAGE_KNOWN)
    if not others.keys() <= {"type", "id"}:
        parts["items"].append(others)


# What a delta adds to, by the item's type.
_DELTA_FIELDS = {
    "function_call": "arguments",
    "mcp_call": "arguments",
    "custom_tool_call": "input",
    "code_interpreter_call": "code",
}
_MESSAGE_DELTAS = {
    "response.output_text.delta": "output_text",
    "response.refusal.delta": "refusal",
}
_REASONING_DELTAS = frozenset(
    {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}
)
_PLACES = ("summary_index", "content_index", "command_index")


class ResponseAssembler:
    """A response from the events of its stream."""

    __slots__ = ("_error", "_items", "_response", "_whole")

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}  # by their place in the output
        self._response: Any = None
        self._whole = False
        self._error: Any = None

    def add(self, event: Any) -> None:
        """Keep items, their deltas, and the response from the first and last event."""
        get = reader(event)
        kind = get("type")
        if kind in _FINAL_EVENTS:
            self._response = get("response")
            self._whole = True
        elif kind == "response.created":
            self._response = get("response")
        elif kind == "error":
            self._error = get("message") or get("code") or get_field(get("error"), "message")
        elif (index := get("output_index")) is not None or kind.endswith(_ITEM_EVENTS):
            if index is None:  # a provider that does not number its items
                index = sum(item.done is not None for item in self._items.values())
            item = self._items.get(index)
            if item is None:
                item = self._items[index] = _Item()
            item.add(kind, get)

    def answer(self) -> Answer:
        """The response as far as it has come."""
        arrived = [item.item() for item in in_order(self._items)]
        if self._whole:
            output = get_field(self._response, "output")
            items = output if output and isinstance(output, (list, tuple)) else arrived
            return read_answer(lambda response: _answer(response, items), self._response)
        metadata = without_none(
            {
                "response_id": get_field(self._response, "id"),
                "response_model": get_field(self._response, "model"),
                "response_error": self._error,
                "stream_end": "cut",
            }
        )
        return Answer(_outputs(arrived), metadata)


_ITEM_EVENTS = (".delta", ".output_item.added", ".output_item.done", ".annotation.added")


class _Item:
    """One item of a streamed response, from the events about it."""

    __slots__ = ("_added", "_others", "_pieces", "done")

    def __init__(self) -> None:
        self._added: Any = None
        self.done: Any = None
        self._pieces: dict[tuple[str, int], list[str]] = {}
        self._others: dict[str, list[Any]] = {}

    def add(self, kind: str, get: Callable[[str], Any]) -> None:
        if kind.endswith(".delta"):
            if (delta := get("delta")) and isinstance(delta, str):
                place = next((at for name in _PLACES if (at := get(name)) is not None), 0)
                self._pieces.setdefault((kind, place), []).append(delta)
            elif delta:
                self._others.setdefault(kind.split(".")[-2], []).append(plain(delta))
        elif kind == "response.output_item.added":
            self._added = get("item")
        elif kind == "response.output_item.done":
            self.done = get("item")
            self._pieces.clear()
            self._others.clear()
        elif kind == "response.content_part.added":
            if (part := get("part")) and get_field(part, "type") not in _PART_FIELDS:
                self._others.setdefault("content", []).append(plain(part))
        elif kind == "response.output_text.annotation.added":
            self._others.setdefault("annotations", []).append(plain(get("annotation")))
        elif kind.endswith(".partial_image"):
            self._others["partial_image"] = [get("partial_image_b64")]

    def item(self) -> Any:
        """The item; one that was cut off, from what was said at its start and from its deltas."""
        if self.done is not None:
            return self.done
        pieces = {key: "".join(texts) for key, texts in self._pieces.items()}
        ordered = sorted(pieces.items(), key=lambda entry: entry[0][1])
        kind = get_field(self._added, "type")
        fields = {} if self._added is None else other_fields(self._added, frozenset())
        names = {name for name, _ in pieces}
        if kind == "message" or not names.isdisjoint(_MESSAGE_DELTAS):
            return {**fields, "type": "message", "content": self._content(ordered)}
        if kind == "reasoning" or not names.isdisjoint(_REASONING_DELTAS):
            summary = [{"text": text} for _, text in ordered]
            return {**fields, "type": "reasoning", "summary": summary}
        for name in sorted(names):
            texts = [text for (kind_of_text, _), text in ordered if kind_of_text == name]
            if kind == "shell_call":
                fields["action"] = {**fields.get("action", {}), "commands": texts}
            else:
                fields[_DELTA_FIELDS.get(kind, name.split(".")[-2])] = "".join(texts)
        return {**fields, **self._others}

    def _content(self, ordered: list[tuple[tuple[str, int], str]]) -> list[dict[str, Any]]:
        """The parts of a message that was cut off."""
        content: list[dict[str, Any]] = [
            {"type": part, _PART_FIELDS[part]: text}
            for (name, _), text in ordered
            if (part := _MESSAGE_DELTAS.get(name))
        ]
        if annotations := self._others.get("annotations"):
            if not content:
                content.append({"type": "output_text", "text": ""})
            content[0]["annotations"] = annotations
        return [*content, *self._others.get("content", ())]
