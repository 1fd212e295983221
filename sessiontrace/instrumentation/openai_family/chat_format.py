"""The chat completions API of OpenAI and of many other providers: requests, answers, chunks.

Pure functions, on the thread of the call. Invariant: an event has the same shape whichever provider
answered, streamed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import (
    NOT_OBJECTS,
    get_field,
    in_order,
    joined,
    merge_delta,
    merge_snapshot,
    other_fields,
    parse_json,
    pick,
    plain,
    read,
    reader,
    require_object,
    tool_call,
)
from sessiontrace.instrumentation.openai_family.chat_usage import usage_of
from sessiontrace.instrumentation.openai_family.text_piece import TextPieces

_HYPERPARAMETERS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "max_completion_tokens",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "stop",
        "n",
        "stream",
        "logprobs",
        "response_format",
        "reasoning_effort",
        "tool_choice",
        "parallel_tool_calls",
        "service_tier",
        "verbosity",
        "modalities",
    }
)


def chat_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and hyperparameters of a request's body."""
    return {"chat_history": body.get("messages", [])}, pick(body, _HYPERPARAMETERS)


_RESULT_FIELDS = frozenset(
    {"id", "choices", "created", "model", "object", "usage", "x_groq", "obfuscation", "error"}
    | {"service_tier", "system_fingerprint"}
)
_CHOICE_FIELDS = frozenset(
    {"index", "message", "delta", "finish_reason", "text", "error", "usage"}  # usage: Moonshot's
)
# ``parsed`` is the SDK's own reading of the content; ``prefix`` is in every message of Mistral's.
_MESSAGE_FIELDS = frozenset(
    {"role", "content", "tool_calls", "function_call", "refusal", "reasoning", "reasoning_content"}
    | {"parsed", "prefix"}
)
_CALL_FIELDS = frozenset({"id", "type", "index", "function", "custom"})


def chat_answer(result: Any) -> Answer:
    """Outputs and metadata of a whole chat completion."""
    if type(result) in NOT_OBJECTS:
        require_object(result)
    get, fields = read(result, _RESULT_FIELDS)
    messages, finish_reasons = [], []
    errors = [get("error")]
    for choice in get("choices") or ():
        get_choice, others = read(choice, _CHOICE_FIELDS)
        message = _message(get_choice("message"))
        if others:
            message.update(others)
        messages.append(message)
        finish_reasons.append(get_choice("finish_reason"))
        errors.append(get_choice("error"))
    outputs = messages[0] if len(messages) == 1 else _outputs(messages)
    if fields:
        outputs.update(fields)
    metadata = _metadata(get, finish_reasons)
    if any(errors):
        metadata.update(failure_of(errors))
    return Answer(outputs, metadata)


def failure_of(errors: Iterable[Any]) -> dict[str, Any]:
    """The metadata of the first error that an answer reports, though it was sent as a success."""
    for error in errors:
        if error:
            text = error if isinstance(error, str) else get_field(error, "message")
            return {"response_error": str(text or plain(error))}
    return {}


def _message(message: Any) -> dict[str, Any]:
    get, others = read(message, _MESSAGE_FIELDS)
    calls = [_tool_call(call) for call in requests] if (requests := get("tool_calls")) else None
    if not calls and (legacy := get("function_call")) is not None:
        calls = [tool_call(None, get_field(legacy, "name"), get_field(legacy, "arguments"))]
    reasoning = get("reasoning") or get("reasoning_content")
    fields = message_fields(get("content"), calls, reasoning, get("refusal"))
    return {"role": get("role") or "assistant", **fields, **others}


def message_fields(content: Any, calls: Any, reasoning: Any, refusal: Any) -> dict[str, Any]:
    """The fields of a message in their order; a content of blocks is taken apart."""
    fields: dict[str, Any] = {"content": content or None}
    blocks: dict[str, list[Any]] | None = None
    if content is not None and type(content) is not str:
        blocks = _sorted_blocks(content)
        fields["content"] = "".join(blocks.pop("text")) or None
        reasoning = joined([*([reasoning] if reasoning else ()), *blocks.pop("reasoning")])
    if calls:
        fields["tool_calls"] = calls
    if refusal:
        fields["refusal"] = refusal
    if reasoning:
        fields["reasoning"] = reasoning
    if blocks is not None:
        fields.update({name: values for name, values in blocks.items() if values})
    return fields


def _sorted_blocks(content: Any) -> dict[str, list[Any]]:
    """Texts, reasoning and its signatures, and the blocks of any other type as they are."""
    blocks: dict[str, list[Any]] = {
        name: [] for name in ("text", "reasoning", "reasoning_signatures", "blocks")
    }
    for block in content if isinstance(content, (list, tuple)) else [content]:
        kind = "text" if isinstance(block, str) else get_field(block, "type")
        if kind == "text":
            text = block if isinstance(block, str) else get_field(block, "text")
            blocks["text" if isinstance(text, str) else "blocks"].append(plain(text or block))
        elif kind in ("thinking", "reasoning"):
            parts = get_field(block, kind) or get_field(block, "summary") or ()
            parts = parts if isinstance(parts, (list, tuple)) else [parts]
            texts = [part if isinstance(part, str) else get_field(part, "text") for part in parts]
            blocks["reasoning"].extend(text for text in texts if text)
            if isinstance(signature := get_field(block, "signature"), str):
                blocks["reasoning_signatures"].append(signature)
        else:
            blocks["blocks"].append(plain(block))
    return blocks


def _tool_call(call: Any) -> dict[str, Any]:
    function = get_field(call, "function")
    if function is None:  # a custom tool: its input is free text
        function = get_field(call, "custom")
        arguments = get_field(function, "input")
    else:
        arguments = get_field(function, "arguments")
    fields = tool_call(_id_of(call), get_field(function, "name"), arguments)
    fields.update(other_fields(call, _CALL_FIELDS))
    return fields


def _outputs(messages: list[dict[str, Any]]) -> dict[str, Any]:
    if not messages:
        return {"role": "assistant", "content": None}
    return messages[0] if len(messages) == 1 else {"choices": messages}


def _metadata(get: Callable[[str], Any], finish_reasons: list[Any]) -> dict[str, Any]:
    """Metadata of a result by its reader; the reason of a choice that did not finish is None."""
    usage = get("usage")
    metadata = usage_of(usage)
    if response_id := get("id"):
        metadata["response_id"] = response_id
    if model := get("model"):
        metadata["response_model"] = model
    if tier := get("service_tier") or get_field(usage, "service_tier"):
        metadata["service_tier"] = tier
    if len(finish_reasons) == 1:
        if finish_reasons[0]:
            metadata["finish_reason"] = finish_reasons[0]
    elif reasons := [reason for reason in finish_reasons if reason]:
        metadata["finish_reason"] = reasons[0] if len(set(reasons)) == 1 else reasons
    return metadata


class ChatAssembler(TextPieces):
    """A chat completion from its chunks."""

    __slots__ = (
        "_choices",
        "_errors",
        "_fields",
        "_id",
        "_model",
        "_tier",
        "_usage",
    )

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Choice] = {}
        self._fields: dict[str, Any] = {}
        self._errors: list[Any] = []
        self._id: Any = None
        self._model: Any = None
        self._usage: Any = None
        self._tier: Any = None

    def add_other(self, chunk: Any) -> None:
        """Keep the deltas of one chunk."""
        get = reader(chunk)
        self._id = get("id") or self._id
        self._model = get("model") or self._model
        self._tier = get("service_tier") or self._tier
        usage = get("usage")
        if (groq := get("x_groq")) is not None:
            usage = get_field(groq, "usage") if usage is None else usage
            self._errors.append(get_field(groq, "error"))
        if usage is not None:
            self._usage = usage
        for choice in get("choices") or ():
            index = get_field(choice, "index") or 0
            assembled = self._choices.get(index)
            if assembled is None:
                assembled = self._choices[index] = _Choice()
                self.texts[index] = assembled.content
                self.rare: tuple[str, ...] = _rare_fields(chunk, choice)
            assembled.add(choice)
            self._errors.append(get_field(choice, "error"))
            self._usage = get_field(choice, "usage") or self._usage
        self._errors.append(get("error"))
        merge_snapshot(self._fields, other_fields(chunk, _RESULT_FIELDS))

    def answer(self) -> Answer:
        """The completion as far as it has come."""
        choices = in_order(self._choices)
        identity = {
            "id": self._id or get_field(self.last, "id"),
            "model": self._model or get_field(self.last, "model"),
            "service_tier": self._tier,
            "usage": self._usage,
        }
        reasons = [choice.finish_reason for choice in choices]
        metadata = _metadata(identity.get, reasons)
        metadata.update(failure_of(self._errors))
        if not all(reasons) or not reasons:
            metadata["stream_end"] = "cut"
        messages = [choice.message() for choice in choices]
        return Answer({**_outputs(messages), **self._fields}, metadata)


_rare_by_class: dict[tuple[type, type], tuple[str, ...]] = {}


def _rare_fields(chunk: Any, choice: Any) -> tuple[str, ...]:
    """The fields that a chunk with a piece of text must not have set to take the shortcut.

    Where the class of its choice has more than are read, those are among them, and no chunk has
    them: so none takes it.
    """
    classes = type(chunk), type(choice)
    rare = _rare_by_class.get(classes)
    if rare is None:
        of_chunk, of_choice = (getattr(kind, "__pydantic_fields__", ()) for kind in classes)
        rare = (
            *(name for name in of_chunk if name not in _RESULT_FIELDS),
            *(name for name in of_choice if name not in _CHOICE_FIELDS and name != "logprobs"),
        )
        if len(_rare_by_class) < 1_000:
            _rare_by_class[classes] = rare
    return rare


class _Choice:
    """One choice of a streamed completion, from its deltas."""

    __slots__ = ("calls", "content", "fields", "finish_reason", "reasoning", "refusal", "role")

    def __init__(self) -> None:
        self.role = "assistant"
        self.content: list[Any] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: list[_StreamedCall] = []
        self.fields: dict[str, Any] = {}
        self.finish_reason: Any = None

    def add(self, choice: Any) -> None:
        finish_reason = get_field(choice, "finish_reason")
        if finish_reason is not None:
            self.finish_reason = finish_reason
        delta = get_field(choice, "delta")
        if delta is None:  # a server that sends the whole message, as if it were not to stream
            delta = get_field(choice, "message")
        get = reader(delta)
        self.role = get("role") or self.role
        if content := get("content"):
            self.content.append(content)
        if reasoning := get("reasoning_content") or get("reasoning"):  # some send both, equal
            self.reasoning.append(reasoning)
        if refusal := get("refusal"):
            self.refusal.append(refusal)
        for call in get("tool_calls") or ():
            if type(call) not in NOT_OBJECTS:
                index = get_field(call, "index")
                self._add_call(call, index if isinstance(index, int) else 0)
        if (legacy := get("function_call")) is not None:
            self._add_call({"function": legacy}, -1)
        if others := other_fields(delta, _MESSAGE_FIELDS):
            merge_delta(self.fields, others)
        if others := other_fields(choice, _CHOICE_FIELDS):
            if logprobs := others.pop("logprobs", None):
                merge_delta(self.fields, {"logprobs": logprobs})
            merge_snapshot(self.fields, others)

    def _add_call(self, call: Any, index: int) -> None:
        """Some providers number every call 0: another id or name under an index is a new call.

        So is the same name again, without an id, after arguments that are complete.
        """
        function = get_field(call, "function") or get_field(call, "custom")
        call_id, name = _id_of(call), get_field(function, "name")
        assembled = next((own for own in reversed(self.calls) if own.index == index), None)
        if assembled is None or assembled.is_other(call_id, name):
            self.calls.append(assembled := _StreamedCall(index))
        assembled.id = call_id or assembled.id
        assembled.name = name or assembled.name
        piece = get_field(function, "arguments") or get_field(function, "input")
        if isinstance(piece, str):
            assembled.arguments += piece
        elif piece is not None:  # the decoded object, whole
            assembled.decoded = piece
        if others := other_fields(call, _CALL_FIELDS):
            merge_delta(assembled.fields, others)

    def message(self) -> dict[str, Any]:
        numbered: dict[Any, list[_StreamedCall]] = {}
        for call in self.calls:
            numbered.setdefault(call.index, []).append(call)
        calls = [call.tool_call() for group in in_order(numbered) for call in group]
        fields = message_fields(
            _content_of(self.content), calls, joined(self.reasoning), joined(self.refusal)
        )
        return {"role": self.role, **fields, **self.fields}


class _StreamedCall:
    """One tool call of a streamed completion, from its deltas."""

    __slots__ = ("arguments", "decoded", "fields", "id", "index", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: Any = None
        self.name: Any = None
        self.arguments = ""
        self.decoded: Any = None
        self.fields: dict[str, Any] = {}

    def is_other(self, call_id: Any, name: Any) -> bool:
        if call_id and self.id:
            return bool(call_id != self.id)
        if not name or not self.name:
            return False
        return bool(name != self.name) or not isinstance(parse_json(self.arguments), str)

    def tool_call(self) -> dict[str, Any]:
        arguments = self.arguments if self.decoded is None else self.decoded
        if self.decoded is not None and self.arguments:  # an odd piece among those of a text
            arguments = joined([self.arguments, self.decoded])
        return {**tool_call(self.id, self.name, arguments), **self.fields}


def _id_of(call: Any) -> Any:
    """The id of a tool call; Mistral's client says "null" where there is none."""
    call_id = get_field(call, "id")
    return None if call_id == "null" else call_id


def _content_of(pieces: list[Any]) -> Any:
    """The content from its pieces: a text, or blocks where a piece is a list of them."""
    try:
        return "".join(pieces)
    except TypeError:  # a piece is a list of blocks
        pass
    blocks: list[Any] = []
    for piece in pieces:
        blocks.extend(piece if isinstance(piece, (list, tuple)) else [piece])
    return blocks
