# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled forms of ``plain_chat`` and ``encoded_chat``; see ``plain_span``.

Invariant: they read a span as ``span_reader`` does, or leave it to that reader.
"""

from libc.string cimport memchr, memcmp, memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

import orjson

from sessiontrace.wire.message_reader import CALL_OBJECTS

cdef extern from "Python.h":
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef object _loads = orjson.loads
cdef object _Fragment = orjson.Fragment
cdef tuple _CALL_OBJECTS = CALL_OBJECTS


def plain_chat(dict attributes not None, tuple fields not None):
    """The objects of the event that a chat's attributes describe; None: not plain."""
    return _chat(attributes, fields, False)


def encoded_chat(dict attributes not None, tuple fields not None):
    """The same with inputs and outputs as ``orjson.Fragment`` where they need no decoding."""
    return _chat(attributes, fields, True)


cdef dict _chat(dict attributes, tuple fields, bint encoded):
    cdef dict config = {}, metadata = {}, properties = {}, event, place
    cdef list messages, reasons
    cdef object inputs = None, outputs = None
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
    if text is not None and encoded:
        inputs = _encoded_messages(text, b'{"chat_history":', b"}", None)
    if text is not None and inputs is None:
        messages = _plain_messages(text, None)
        if messages is None:
            return None
        if messages:
            inputs = {"chat_history": messages}
    text = attributes.get("gen_ai.output.messages")
    if text is not None:
        reasons = []
        if encoded:
            outputs = _encoded_messages(text, b'{"choices":', b"}", reasons)
        if outputs is None:
            reasons = []
            messages = _plain_messages(text, reasons)
            if messages is None:
                return None
            if messages:
                outputs = messages[0] if len(messages) == 1 else {"choices": messages}
        if any(reasons):
            metadata["finish_reason"] = reasons[0] if len(reasons) == 1 else reasons
    if "total_tokens" not in metadata:
        prompt, completion = metadata.get("prompt_tokens"), metadata.get("completion_tokens")
        if type(prompt) is int and type(completion) is int:
            metadata["total_tokens"] = prompt + completion
    event = {"inputs": {} if inputs is None else inputs, "config": config, "metadata": metadata}
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


# -- messages as JSON, without decoding them -------------------------------------------------

cdef enum:
    ROLE, NAME, REASON, PARTS, CONTENT, TYPE, UNKNOWN

cdef struct Text:
    const char *start  # NULL where there is none; else of what is between the quotes
    Py_ssize_t size

cdef struct Message:
    int order[3]  # of its fields but the parts
    Text fields[3]  # ROLE, NAME, REASON; a text without a start is null
    int count
    Text content


cdef object _encoded_messages(text, bytes head, bytes tail, list reasons):
    """The JSON of the messages between ``head`` and ``tail``; None: they must be decoded.

    ``reasons``: as of ``_plain_messages``, which reads the same messages and more; one message
    that is an answer stands alone.
    """
    cdef const char *at
    cdef const char *end
    cdef char *start
    cdef char *to
    cdef Py_ssize_t size
    cdef Message message
    cdef int count = 0
    if type(text) is not str:
        return None
    try:
        at = PyUnicode_AsUTF8AndSize(text, &size)
    except UnicodeEncodeError:
        return None
    end = at + size
    if size == 0 or at[0] != 91:
        return None
    # A message loses more characters than a comma and its share of the brackets have.
    target = PyBytes_FromStringAndSize(NULL, size + len(head) + len(tail))
    start = PyBytes_AS_STRING(target)
    memcpy(start, PyBytes_AS_STRING(head), len(head))
    to = start + len(head)
    to[0] = 91
    to += 1
    at += 1
    while True:
        at = _message(at, end, &message)
        if at == NULL:
            return None
        if count:
            to[0] = 44
            to += 1
        to = _write(&message, to, reasons is not None)
        if reasons is not None:
            reasons.append(_reason(&message))
        count += 1
        at = _space(at, end)
        if at == end:
            return None
        if at[0] == 93:
            break
        if at[0] != 44:
            return None
        at += 1
    if _space(at + 1, end) != end:
        return None
    if reasons is not None and count == 1:
        return _Fragment(PyBytes_FromStringAndSize(start + len(head) + 1, to - start - len(head) - 1))
    to[0] = 93
    memcpy(to + 1, PyBytes_AS_STRING(tail), len(tail))
    return _Fragment(PyBytes_FromStringAndSize(start, to + 1 + len(tail) - start))


cdef object _reason(Message *message):
    """Why the model stopped."""
    cdef int at
    for at in range(message.count):
        if message.order[at] == REASON and message.fields[at].start != NULL:
            return PyUnicode_DecodeUTF8(message.fields[at].start, message.fields[at].size, NULL)
    return None


cdef char *_write(Message *message, char *to, bint is_answer) noexcept:
    """Write a message: its fields in their order, then the content."""
    cdef int at
    to[0] = 123
    to += 1
    for at in range(message.count):
        if message.order[at] == ROLE:
            to = _copy(to, b'"role":', 7)
        elif message.order[at] == NAME:
            to = _copy(to, b'"name":', 7)
        elif is_answer:
            continue
        else:
            to = _copy(to, b'"finish_reason":', 16)
        if message.fields[at].start == NULL:
            to = _copy(to, b"null", 4)
        else:
            to = _copy(to, message.fields[at].start - 1, message.fields[at].size + 2)
        to[0] = 44
        to += 1
    to = _copy(to, b'"content":', 10)
    to = _copy(to, message.content.start - 1, message.content.size + 2)
    to[0] = 125
    return to + 1


cdef inline char *_copy(char *to, const char *source, Py_ssize_t size) noexcept:
    memcpy(to, source, size)
    return to + size


cdef const char *_message(const char *at, const char *end, Message *message) noexcept:
    """Read a message that ``_plain_messages`` reads; what follows it, or NULL for any other."""
    cdef Text key, value
    cdef int field, seen = 0
    message.count = 0
    message.content.start, message.content.size = NULL, 0
    at = _char(at, end, 123)
    while at != NULL:
        at = _key(at, end, &key)
        if at == NULL:
            return NULL
        field = _field(&key)
        if field > PARTS or seen & (1 << field):
            return NULL
        seen |= 1 << field
        if field == PARTS:
            at = _part(at, end, &message.content)
        else:
            at = _nullable(at, end, &value)
            if at == NULL or (field == ROLE and value.size == 0):
                return NULL
            if field == NAME and value.start == NULL:
                return NULL
            message.order[message.count] = field
            message.fields[message.count] = value
            message.count += 1
        if at == NULL:
            return NULL
        at = _space(at, end)
        if at < end and at[0] == 125:
            return at + 1 if seen & (1 << ROLE) and seen & (1 << PARTS) else NULL
        at = _char(at, end, 44)
    return NULL


cdef const char *_part(const char *at, const char *end, Text *content) noexcept:
    """Read the parts of a message, which are one text; what follows them, or NULL."""
    cdef Text key, value
    cdef int number, field, seen = 0
    at = _char(at, end, 91)
    if at != NULL:
        at = _char(at, end, 123)
    for number in range(2):
        if at == NULL:
            return NULL
        at = _key(at, end, &key)
        if at == NULL:
            return NULL
        field = _field(&key)
        at = _text(_space(at, end), end, &value)
        if at == NULL or field < CONTENT or field > TYPE or seen & (1 << field):
            return NULL
        seen |= 1 << field
        if field == CONTENT:
            if _is_call(&value):
                return NULL
            content[0] = value
        elif value.size != 4 or memcmp(value.start, b"text", 4) != 0:
            return NULL
        at = _char(at, end, 125 if number else 44)
    if at == NULL:
        return NULL
    return _char(at, end, 93)


cdef bint _is_call(Text *text) noexcept:
    """Whether the text may show an object of a tool's call; its first letters are enough."""
    return text.size > 4 and (
        memcmp(text.start, b"Resp", 4) == 0 or memcmp(text.start, b"Tool", 4) == 0
    )


cdef int _field(Text *key) noexcept:
    if key.size == 4:
        if memcmp(key.start, b"role", 4) == 0:
            return ROLE
        if memcmp(key.start, b"type", 4) == 0:
            return TYPE
        if memcmp(key.start, b"name", 4) == 0:
            return NAME
    elif key.size == 5:
        if memcmp(key.start, b"parts", 5) == 0:
            return PARTS
    elif key.size == 7:
        if memcmp(key.start, b"content", 7) == 0:
            return CONTENT
    elif key.size == 13 and memcmp(key.start, b"finish_reason", 13) == 0:
        return REASON
    return UNKNOWN


cdef const char *_key(const char *at, const char *end, Text *key) noexcept:
    """Read a key and its colon; what follows them, or NULL."""
    at = _text(_space(at, end), end, key)
    if at == NULL:
        return NULL
    return _char(at, end, 58)


cdef const char *_nullable(const char *at, const char *end, Text *value) noexcept:
    """Read a plain text without escapes, or null; what follows it, or NULL."""
    at = _space(at, end)
    if end - at >= 4 and memcmp(at, b"null", 4) == 0:
        value.start, value.size = NULL, 0
        return at + 4
    at = _text(at, end, value)
    if at == NULL or memchr(value.start, 92, value.size) != NULL:
        return NULL
    return at


cdef const char *_text(const char *at, const char *end, Text *text) noexcept:
    """Read a text whose JSON orjson would write alike; what follows it, or NULL."""
    cdef const char *start = at + 1
    if at >= end or at[0] != 34:
        return NULL
    at = start
    while at < end and at[0] != 34:
        if <unsigned char>at[0] < 32:
            return NULL
        if at[0] == 92:
            at += 1
            # " \ b f n r t; others have a shorter form
            if at >= end or at[0] not in (34, 92, 98, 102, 110, 114, 116):
                return NULL
        at += 1
    if at >= end:
        return NULL
    text.start, text.size = start, at - start
    return at + 1


cdef const char *_char(const char *at, const char *end, char char) noexcept:
    """What follows this character, or NULL where another one is next."""
    at = _space(at, end)
    return at + 1 if at < end and at[0] == char else NULL


cdef inline const char *_space(const char *at, const char *end) noexcept:
    while at < end and (at[0] == 32 or at[0] == 10 or at[0] == 13 or at[0] == 9):
        at += 1
    return at
