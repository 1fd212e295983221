"""Whether two events are one model call, which two instrumentations recorded.

A client's own spans and those of an instrumentation, or those of two instrumentations, describe a
call twice: as a span in a span, or, where the outer one does not become the current span, as two
spans beside each other. The first row that applies decides.

=====================================================================  ======
two events of one session                                              one?
=====================================================================  ======
one of them is no model call: an agent, a chain, a tool                no
neither is below the other, nor are both below one parent              no
operations differ: embeddings in a chat                                no
models are stated, and differ: a fallback, a router's own name         no
answers have ids of one form that differ                               no
both are of our own SDK, which records a call once                     no
the inner one failed, and the outer one was answered: a retry          no
**one says what the other was answered, of one instrumentation**
it is in the other one                                                 yes
the other one has an answer, counts of tokens or an error              no
the inputs of both differ                                              no
it began before the other one, or more than 10 s after its end         no
else: the nearest such call                                            yes
**one in the other**
the outer one has other model calls in it: a router, retries           no
both are of one instrumentation, and one of them states no model       no
the ids of their answers, or their answers, are equal                  yes
the inner one is not within the time of the outer one                  no
else                                                                   yes
**beside each other**
both are of one instrumentation: parallel calls                        no
one of them states no model                                            no
they are not at the same time: a retry, the next call                  no
a stream of a framework that ended before the call began, at most 10 s,
and their answers differ, or one has none                              no
the ids of their answers, or their answers, are equal                  yes
their answers differ                                                   no
one is not within the time of the other                                no
their counts of tokens are equal, or both failed                       yes
their questions differ                                                 no
their answers are the same calls of tools                              yes
one has neither an answer nor counts                                   yes
else: nothing says that they are more than alike                       no
=====================================================================  ======

Models are the same if a requested or answering one of either is, without its provider and, where
only one says it, its version: ``openai/gpt-4o`` and ``gpt-4o-2024-08-06``. Chat, text completion
and Gemini's ``generate_content`` are one operation. Pure functions, no thread owns them. Invariant:
the answer depends on the records alone, so it is the same in any order of arrival.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
import orjson

from sessiontrace.model.step_types import base_type
from sessiontrace.store.related_calls import LATE_MS
from sessiontrace.wire.value_tree import whole_json

__all__ = [
    "CallFacts",
    "answered",
    "facts_of",
    "is_answered_inside",
    "is_answered_later",
    "is_same_below",
    "is_same_beside",
    "latest_start",
]

Record = Mapping[str, Any]

_CHATS = frozenset({"", "chat", "text_completion", "generate_content", "completion", "responses"})
_LATE_NS = LATE_MS * 1_000_000
_SLACK_NS = 5_000_000  # clocks in milliseconds, and times that are rounded
_VERSION = re.compile(r"[-@:](?:\d{4}-?\d{2}-?\d{2}|\d{3,4}|v\d+(?::\d+)?|latest|preview)$")
_VENDORS = (
    "anthropic.",
    "amazon.",
    "meta.",
    "mistral.",
    "cohere.",
    "openai.",
    "deepseek.",
    "ai21.",
)
_ID = re.compile(r"([a-z]{2,}[-_]).")


@attrs.frozen
class CallFacts:
    """What of an event says whether it is the same call as another.

    ``scope``: the instrumentation that recorded it; None for our own SDK. ``operation``: empty for
    a chat. ``models``: requested and answering. ``form``: how the id of its answer begins.
    ``answer``: its text in one line. ``is_late``: the record says what an earlier one was answered.
    ``is_early``: it may end before the call that it is. ``tools``: what its answer calls, as text.
    ``is_bare``: it has neither an answer nor counts of tokens.
    ``question``: the text of its last message in one line. ``returned``: its end, or that of the
    call alone where another record has the end of its stream. Times are Unix ns.
    """

    event_id: str
    session_id: str
    is_model: bool
    scope: str | None
    operation: str
    models: frozenset[str]
    response_id: str
    form: str
    answer: str
    tools: str
    counts: tuple[Any, Any]
    failed: bool
    is_late: bool
    is_early: bool
    is_bare: bool
    inputs: Any
    question: str
    start: int
    end: int
    returned: int

    def contains(self, inner: CallFacts) -> bool:
        """Whether the inner event is in the time of this one."""
        return inner.returned <= self.end + _SLACK_NS and inner.start >= self.start - _SLACK_NS


def is_answered_inside(call: CallFacts, late: CallFacts) -> bool:
    """Whether ``late``, which has ``call`` as its parent, says what that was answered."""
    return (
        call.scope == late.scope is not None
        and late.is_late
        and (call.is_model and late.is_model)
        and call.session_id == late.session_id
    )


def is_answered_later(call: CallFacts, late: CallFacts) -> bool:
    """Whether ``late``, which has the parent of ``call``, says what that was answered."""
    return (
        call.scope == late.scope is not None
        and late.is_late
        and call.is_bare
        and not (call.is_late or call.failed)
        and (call.is_model and late.is_model)
        and (call.session_id, call.operation) == (late.session_id, late.operation)
        and call.models <= late.models
        and call.start <= late.start
        and late.start - call.end <= _LATE_NS
        and call.inputs == late.inputs
    )


def answered(call: CallFacts, late: CallFacts) -> CallFacts:
    """The facts of a call with those of the record that says what it was answered."""
    return attrs.evolve(
        call,
        models=call.models | late.models,
        response_id=call.response_id or late.response_id,
        form=call.form or late.form,
        answer=call.answer or late.answer,
        tools=call.tools or late.tools,
        counts=call.counts if any(call.counts) else late.counts,
        failed=call.failed or late.failed,
        is_bare=call.is_bare and late.is_bare,
    )


def is_same_below(outer: CallFacts, inner: CallFacts) -> bool:
    """Whether ``inner``, the only model call below ``outer``, is the same call."""
    if outer.scope == inner.scope and not (outer.models and inner.models):
        return False
    return _may_be_one(outer, inner) and (_have_one_answer(outer, inner) or outer.contains(inner))


def is_same_beside(outer: CallFacts, inner: CallFacts) -> bool:
    """Whether ``inner``, which has the parent of ``outer`` and began later, is the same call."""
    if outer.scope == inner.scope or inner.start > latest_start(outer):
        return False
    if not (outer.models and inner.models) or not _may_be_one(outer, inner):
        return False
    if _have_one_answer(outer, inner):
        return True
    if inner.start > outer.end:
        return _call_the_same(outer, inner)
    if (outer.answer and inner.answer) or not outer.contains(inner):
        return False
    if outer.failed and inner.failed:
        return True
    if any(outer.counts) and outer.counts == inner.counts:
        return True
    if not _may_ask_the_same(outer, inner):
        return False
    if _call_the_same(outer, inner):
        return True
    says_nothing = [call.is_bare and not call.failed for call in (outer, inner)]
    return says_nothing[0] != says_nothing[1]


def latest_start(call: CallFacts) -> int:
    """When another record of the call may begin at the latest, Unix ns."""
    return call.end + _LATE_NS if call.is_early else call.end


def _may_be_one(outer: CallFacts, inner: CallFacts) -> bool:
    """The rows of the table that hold for both arrangements."""
    return not (
        not (outer.is_model and inner.is_model)
        or inner.session_id != outer.session_id
        or outer.operation != inner.operation
        or (outer.scope is None and inner.scope is None)
        or (inner.failed and not (outer.failed or outer.is_bare))
        or (outer.response_id != inner.response_id and outer.form == inner.form != "")
        or (outer.models and inner.models and not _are_compatible(outer.models, inner.models))
    )


def _have_one_answer(outer: CallFacts, inner: CallFacts) -> bool:
    """Whether the ids of the answers, or the texts of both, are equal."""
    if outer.response_id and outer.response_id == inner.response_id:
        return True
    return bool(outer.answer) and outer.answer == inner.answer


def _may_ask_the_same(outer: CallFacts, inner: CallFacts) -> bool:
    return not (outer.question and inner.question) or outer.question == inner.question


def _call_the_same(outer: CallFacts, inner: CallFacts) -> bool:
    return outer.tools == inner.tools != "" and not (outer.answer or inner.answer)


def _are_compatible(models: frozenset[str], others: frozenset[str]) -> bool:
    return not models.isdisjoint(others) or any(
        _unversioned(model) == other or model == _unversioned(other)
        for model in models
        for other in others
    )


def _unversioned(model: str) -> str:
    shorter = _VERSION.sub("", model)
    while shorter != model:
        model, shorter = shorter, _VERSION.sub("", shorter)
    return model


# -- what a record says ---------------------------------------------------------------------


def facts_of(record: Record) -> CallFacts:
    """The facts of an event with its late updates."""
    metadata = _bucket(record, "metadata")
    otel = _bucket(metadata, "otel")
    response_id = _text(metadata.get("response_id"))
    form = _ID.match(response_id)
    operation = _text(metadata.get("operation"))
    if record.get("event_type") == "embedding":
        operation = operation or "embeddings"
    models = _text(_bucket(record, "config").get("model")), _text(metadata.get("response_model"))
    start = _start_ns(record)
    end = start + _duration_ns(record)
    counts = (metadata.get("prompt_tokens"), metadata.get("completion_tokens"))
    return CallFacts(
        event_id=_text(record.get("event_id")),
        session_id=_text(record.get("session_id")),
        is_model=base_type(record.get("event_type")) == "model",
        scope=scope if isinstance(scope := otel.get("scope"), str) else None,
        operation="" if operation in _CHATS else operation,
        models=frozenset(_without_provider(model) for model in models if model),
        response_id=response_id,
        form=form[1] if form else "",
        answer=_answer(record),
        tools=_tools(record),
        counts=counts,
        failed=record.get("error") is not None,
        is_late=otel.get("late") is True,
        is_early=otel.get("early") is True,
        is_bare=not (any(counts) or _bucket(record, "outputs")),
        inputs=record.get("inputs"),
        question=_question(record),
        start=start,
        end=end,
        returned=end,
    )


def _bucket(record: Record, name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _start_ns(record: Record) -> int:
    start, nanos = record.get("start_time"), record.get("start_nanos")
    at = int(start) * 1_000_000 if isinstance(start, (int, float)) else 0
    return at + nanos if isinstance(nanos, int) else at


def _duration_ns(record: Record) -> int:
    duration = record.get("duration")
    return int(duration * 1e6) if isinstance(duration, (int, float)) else 0


def _without_provider(model: str) -> str:
    name = model.lower().rpartition("/")[2]
    for vendor in _VENDORS:
        name = name.rpartition(vendor)[2] if vendor in name else name
    return name


def _question(record: Record) -> str:
    chat = _bucket(record, "inputs").get("chat_history")
    last = chat[-1] if isinstance(chat, list) and chat else None
    return _line(last.get("content")) if isinstance(last, dict) else ""


def _answer(record: Record) -> str:
    return _line(_bucket(record, "outputs").get("content"))


def _tools(record: Record) -> str:
    calls = _bucket(record, "outputs").get("tool_calls")
    calls = calls if isinstance(calls, list) else []
    functions = [call.get("function") for call in calls if isinstance(call, dict)]
    texts = [
        orjson.dumps(
            [function.get("name"), whole_json(function.get("arguments"))],
            option=orjson.OPT_SORT_KEYS,
        )
        for function in functions
        if isinstance(function, dict)
    ]
    return b" ".join(texts).decode()


def _line(content: Any) -> str:
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(text for text in texts if isinstance(text, str))
    return " ".join(content.split()) if isinstance(content, str) else ""
