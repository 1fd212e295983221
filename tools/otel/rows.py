"""The rows of the table: what must be right of a conversation, and what each backend makes of it.

Pure functions. A row's check returns "" where everything is right, else what is wrong, in a few
words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from conversation import Conversation, Span, Trace
from facts import (
    ANSWERS,
    CONVERSATION,
    DOCUMENTS,
    LATE_SCORE,
    METADATA,
    MODEL,
    QUESTIONS,
    SCORE,
    TAGS,
    TEMPERATURE,
    USAGE,
    USER,
)

__all__ = ["ROWS", "Row"]

MISSING = "missing"
_CLOCK_NS = 1000  # Phoenix keeps microseconds


class Row(NamedTuple):
    """A row: its title and the check of a conversation."""

    title: str
    check: Callable[[Conversation], str]


def _turns(conversation: Conversation) -> str:
    count = len(conversation.traces)
    return "" if count == len(QUESTIONS) else f"{count} traces for {len(QUESTIONS)} turns"


def _session(conversation: Conversation) -> str:
    if not conversation.session:
        return MISSING
    if conversation.session != CONVERSATION:
        return "another id than the application's"
    return "" if conversation.turns == len(QUESTIONS) else f"{conversation.turns} turns"


def _user(conversation: Conversation) -> str:
    return "" if all(trace.user == USER for trace in conversation.traces) else MISSING


def _texts(conversation: Conversation) -> str:
    """The question and the answer of each turn."""
    for trace, question, answer in zip(conversation.traces, QUESTIONS, ANSWERS, strict=False):
        if question not in trace.root.input or answer not in trace.root.output:
            return MISSING
    return ""


def _kinds(conversation: Conversation) -> str:
    wrong = set()
    for trace in conversation.traces:
        for kind, part in _EXPECTED:
            spans = [span for span in trace.spans if part in span.name.lower()]
            wrong |= {f"{kind} is {span.kind}" for span in spans if span.kind != kind}
        if trace.root.kind != "chain":
            wrong.add(f"turn is {trace.root.kind}")
        if len(trace.of_kind("llm")) != 2:
            wrong.add("a model call is not one")
    return ", ".join(sorted(wrong))


_EXPECTED = (
    ("agent", "agent"),
    ("retriever", "search"),
    ("tool", "weather"),
    ("embedding", "embed"),
)


def _steps(conversation: Conversation) -> str:
    """Inputs and outputs of agents."""
    agents = [span for span in conversation.spans() if "agent" in span.name.lower()]
    return "" if all(span.input and span.output for span in agents) else MISSING


def _parents(conversation: Conversation) -> str:
    """Each step lies in its parent's time."""
    late = 0
    for trace in conversation.traces:
        spans = {span.id: span for span in trace.spans}
        for span in trace.spans:
            parent = spans.get(span.parent)
            if span.parent and parent is None:
                return "a parent is missing"
            if parent is not None and not _within(span, parent):
                late += 1
    return f"{late} steps outside their parents' times" if late else ""


def _within(span: Span, parent: Span) -> bool:
    return parent.start - _CLOCK_NS <= span.start and span.end <= parent.end + _CLOCK_NS


def _models(conversation: Conversation) -> list[Span]:
    return [span for trace in conversation.traces for span in trace.of_kind("llm")]


def _chat(conversation: Conversation) -> str:
    """What the last model call of the first turn was asked, by role, and its answer."""
    last = conversation.traces[0].of_kind("llm")[-1]
    roles = [message.role for message in last.asked]
    if roles != ["system", "user", "assistant", "tool"]:
        return f"roles are {', '.join(roles)}" if roles else MISSING
    if last.asked[1].text != QUESTIONS[0] or "7" not in last.asked[3].text:
        return "texts are missing"
    texts = [message.text for message in last.answers]
    return "" if texts == [ANSWERS[0]] else "the answer is missing"


def _columns(conversation: Conversation) -> str:
    """Input and output of a model call, as lists of steps show them."""
    for span, answer in zip(_last_calls(conversation), ANSWERS, strict=False):
        if not span.input:
            return "no input"
        if answer not in span.output:
            return "no answer in the output"
    return ""


def _last_calls(conversation: Conversation) -> list[Span]:
    return [trace.of_kind("llm")[-1] for trace in conversation.traces]


def _definitions(conversation: Conversation) -> str:
    return "" if conversation.traces[0].of_kind("llm")[0].tools == ("weather",) else MISSING


def _calls(conversation: Conversation) -> str:
    answers = conversation.traces[0].of_kind("llm")[0].answers
    calls = [call for message in answers for call in message.calls]
    return "" if calls == [("weather", {"city": "Oslo"})] else MISSING


def _tool(conversation: Conversation) -> str:
    """Arguments and result of the tool."""
    (span,) = conversation.traces[0].of_kind("tool")
    if "Oslo" not in span.input:
        return "no arguments"
    return "" if "7" in span.output else "no result"


def _tokens(conversation: Conversation) -> str:
    details = USAGE["prompt_tokens_details"], USAGE["completion_tokens_details"]
    expected = {"prompt": USAGE["prompt_tokens"], "completion": USAGE["completion_tokens"]}
    expected["cached"] = details[0]["cached_tokens"]  # type: ignore[index]
    wrong = {
        name
        for span in _models(conversation)
        for name, count in expected.items()
        if span.tokens[name] != count
    }
    return f"wrong: {', '.join(sorted(wrong))}" if wrong else ""


def _reasoning(conversation: Conversation) -> str:
    counts = {span.tokens["reasoning"] for span in _models(conversation)}
    return "" if counts == {3} else MISSING if counts == {0} else "not of every call"


def _total(conversation: Conversation) -> str:
    """The tokens of a turn: two chats of 138 and an embedding of 8."""
    total, expected = conversation.traces[0].tokens, 276 + conversation.embedding_tokens
    return "" if total == expected else f"{total} instead of {expected}"


def _cost(conversation: Conversation) -> str:
    if not all(span.cost for span in _models(conversation)):
        return MISSING
    return "" if all(trace.cost for trace in conversation.traces) else "not of the turn"


def _model(conversation: Conversation) -> str:
    spans = _models(conversation)
    if not all(span.model.startswith(MODEL) for span in spans):
        return MISSING
    return "" if all(span.provider == "openai" for span in spans) else "no provider"


def _parameters(conversation: Conversation) -> str:
    first = conversation.traces[0].of_kind("llm")[0]
    return "" if first.parameters.get("temperature") == TEMPERATURE else MISSING


def _error(conversation: Conversation) -> str:
    failures = [span for span in conversation.spans() if span.failed]
    if len(failures) != 1 or failures[0].kind != "tool":
        return f"{len(failures)} failed steps instead of one"
    return "" if "no weather station in Atlantis" in failures[0].error else "no message"


def _stack(conversation: Conversation) -> str:
    stacks = [span.stack for span in conversation.spans() if span.failed]
    if not stacks or not stacks[0]:
        return MISSING
    stack = stacks[0]
    if "Traceback (most recent call last)" not in stack or "in weather" not in stack:
        return "no traceback"
    return "" if "KeyError" in stack else "no cause"


def _documents(conversation: Conversation) -> str:
    for trace in conversation.traces:
        spans = trace.of_kind("retriever")
        texts = [document.content for span in spans for document in span.documents]
        if texts != [document["content"] for document in DOCUMENTS]:
            return MISSING
    return ""


def _score(conversation: Conversation) -> str:
    name, value, comment = SCORE
    first: Trace = conversation.traces[0]
    if name not in first.scores:
        return MISSING
    return "" if first.scores[name] == (value, comment) else "value or comment wrong"


def _late_score(conversation: Conversation) -> str:
    name, value = LATE_SCORE
    return "" if conversation.scores.get(name) == value else MISSING


def _tags(conversation: Conversation) -> str:
    expected = sorted(TAGS)
    return "" if all(sorted(trace.tags) == expected for trace in conversation.traces) else MISSING


def _metadata(conversation: Conversation) -> str:
    entries = METADATA.items()
    return (
        "" if all(entries <= trace.metadata.items() for trace in conversation.traces) else MISSING
    )


ROWS = (
    Row("one trace for each turn", _turns),
    Row("conversation: one session with all turns, by the application's id", _session),
    Row("user of each turn", _user),
    Row("question and answer of each turn", _texts),
    Row("kinds: turn, agent, retriever, embedding, model, tool", _kinds),
    Row("input and output of the agent", _steps),
    Row("steps lie within their parents' times", _parents),
    Row("messages of a model call, by role", _chat),
    Row("input and output of a model call in lists", _columns),
    Row("tool definitions", _definitions),
    Row("tool calls in the answer", _calls),
    Row("arguments and result of the tool", _tool),
    Row("tokens of a model call, cached ones too", _tokens),
    Row("reasoning tokens", _reasoning),
    Row("tokens of a turn", _total),
    Row("cost of model calls and turns", _cost),
    Row("model and provider", _model),
    Row("parameters of the request", _parameters),
    Row("the failed tool, and only it, is an error with its message", _error),
    Row("traceback of the error, with its cause", _stack),
    Row("retrieved documents", _documents),
    Row("score of a turn, with its comment", _score),
    Row("late score of the conversation, without a trace of its own", _late_score),
    Row("tags", _tags),
    Row("metadata", _metadata),
)
