# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled form of ``plain_chat``; see ``plain_span``.

Invariant: it reads a span as ``span_reader`` does, or leaves it to that reader.
"""

import orjson

from sessiontrace.wire.message_reader import CALL_OBJECTS

cdef object _loads = orjson.loads
cdef tuple _CALL_OBJECTS = CALL_OBJECTS


def plain_chat(dict attributes not None, tuple fields not None):
    """The objects of the event that a chat's attributes describe; None: not plain."""
    cdef dict config = {}, metadata = {}, properties = {}, inputs = {}, event, place
    cdef list messages, reasons
    cdef object outputs = None
    cdef tuple field
    if attributes.get("gen_ai.operation.name") != "chat":
        return None
    for field in fields:
        value = attributes[field[3]]
        if type(value) is not str if field[2] else type(value) is not int:
            return None
        bucket, key = field[0], field[1]
        place = config if bucket == "config" else metadata if bucket == "metadata" else properties
        if key not in place:
            place[key] = value
    text = attributes.get("gen_ai.input.messages")
    if text is not None:
        messages = _plain_messages(text, None)
        if messages is None:
            return None
        if messages:
            inputs = {"chat_history": messages}
    text = attributes.get("gen_ai.output.messages")
    if text is not None:
        reasons = []
        messages = _plain_messages(text, reasons)
        if messages is None:
            return None
        if messages:
            if any(reasons):
                metadata["finish_reason"] = reasons[0] if len(reasons) == 1 else reasons
            outputs = messages[0] if len(messages) == 1 else {"choices": messages}
    if "total_tokens" not in metadata:
        prompt, completion = metadata.get("prompt_tokens"), metadata.get("completion_tokens")
        if type(prompt) is int and type(completion) is int:
            metadata["total_tokens"] = prompt + completion
    event = {"inputs": inputs, "config": config, "metadata": metadata}
    if outputs is not None:
        event["outputs"] = outputs
    if properties:
        event["user_properties"] = properties
    return event


cdef list _plain_messages(text, list reasons):
    """The messages of a JSON text, each with one text; None for any others.

    ``reasons``: takes why the model stopped, which is no part of the message; None: it is one.
    """
    cdef list messages = []
    cdef dict plain, part
    if type(text) is not str or not (<str>text).startswith("["):
        return None
    try:
        decoded = _loads(text)
    except ValueError:
        return None
    for message in <list>decoded:
        if type(message) is not dict:
            return None
        plain = <dict>message  # decoded here: nothing else has it
        role, parts = plain.get("role"), plain.pop("parts", None)
        if type(role) is not str or not role or type(parts) is not list or len(<list>parts) != 1:
            return None
        for value in plain.values():
            if value is not None and type(value) is not str:
                return None
        if type((<list>parts)[0]) is not dict:
            return None
        if plain.get("name", "") is None:  # a field without a value, which the reader leaves out
            return None
        part = <dict>(<list>parts)[0]
        content = part.get("content")
        if len(part) != 2 or part.get("type") != "text" or type(content) is not str:
            return None
        if (<str>content).startswith(_CALL_OBJECTS):  # the reader makes it a tool's call
            return None
        plain["content"] = content
        if reasons is not None:
            reasons.append(plain.pop("finish_reason", None))
        messages.append(plain)
    return messages
