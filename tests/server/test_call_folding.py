"""Two spans of one model call become one event, and two calls never do.

Anthropic's client sends spans of its own; OpenInference and OpenLLMetry wrap the same client; a
framework's own call holds the call of its provider's SDK. People switch several of them on, and a
session then counted its tokens twice. ``same_call`` has the table of the rule; each row is here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.otlp_replicas import TRACES, apply
from support.otlp_requests import START, log, logs, request, span

from sessiontrace.server.apis.otlp.log_records import convert_logs
from sessiontrace.server.apis.otlp.mapping import convert
from sessiontrace.store.models import EventQuery, SessionQuery, StoredSession
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.wire.otlp_json_reader import from_json
from sessiontrace.wire.otlp_signals.log_reader import logs_from_json

TRACE = TRACES[0]
OPENINFERENCE, OPENLLMETRY = "openinference.instrumentation.openai", "opentelemetry.openai"
_CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
_TOKENS = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 7}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db")
    yield store
    store.close()


def call(number: int, parent: int = 1, scope: str = OPENINFERENCE, **fields: Any) -> dict[str, Any]:
    """A span of a model call: number n starts n ms after, and ends n ms before, the first one."""
    attributes = {**_CHAT, **_TOKENS, **fields.pop("attributes", {})}
    own = {
        "spanId": f"{number:016x}", "startTimeUnixNano": str(START + number * 1_000_000),
        "endTimeUnixNano": str(START + 10**9 - number * 1_000_000), **fields,
    }  # fmt: skip
    stated = {key: value for key, value in attributes.items() if value is not None}
    return span("call", TRACE, f"{parent:016x}", attributes=stated, scope=scope, **own)


def message(text: str) -> dict[str, str]:
    parts = [{"role": "assistant", "parts": [{"type": "text", "content": text}]}]
    return {"gen_ai.output.messages": json.dumps(parts)}


def take(store: SqliteStore, *spans: dict[str, Any]) -> StoredSession:
    """Send spans in one request; returns the session."""
    received, _ = from_json(request(*spans))
    for step, sent in zip(received, spans, strict=True):
        step.scope = sent.get("scope", "shop")
    return settle(store, convert(received).assembly)


def settle(store: SqliteStore, assembly: Any) -> StoredSession:
    apply(store, assembly.plan(store))
    again = True
    while again:
        change, again = assembly.settle(store)
        apply(store, change)
    session = store.session(_session_id())
    assert session is not None
    return session


def _session_id() -> str:
    return f"{TRACE[:8]}-{TRACE[8:12]}-{TRACE[12:16]}-{TRACE[16:20]}-{TRACE[20:]}"


AGENT = span("agent", TRACE, spanId=f"{1:016x}", endTimeUnixNano=str(START + 10**9))


def test_the_client_s_own_span_in_an_instrumentation_s_is_one_event(store: SqliteStore):
    """The union of both: the prompt of one, the seed and the cached tokens of the other."""
    cached = {"gen_ai.usage.cache_read.input_tokens": 5, "gen_ai.request.seed": 7}
    session = take(
        store, AGENT, call(2, attributes=message("Rain.")),
        call(3, 2, "anthropic", attributes=cached), span("GET", TRACE, f"{3:016x}"),
    )  # fmt: skip
    assert (session.summary.events, session.summary.models, session.summary.tokens) == (3, 1, 19)
    by_name = {event.name: event for event in session.events}
    assert by_name["GET"].parent_id == by_name["chat gpt-4o"].event_id
    record = store.event(by_name["chat gpt-4o"].event_id)
    assert record is not None
    assert record["outputs"] == {"role": "assistant", "content": "Rain."}
    assert record["config"]["hyperparameters"] == {"seed": 7}
    assert record["metadata"]["cache_read_tokens"] == 5
    assert [span["scope"] for span in record["metadata"]["otel"]["calls"]] == ["anthropic"]
    get = store.event(by_name["GET"].event_id)
    assert get is not None
    assert get["parent_id"] == record["event_id"]
    assert store.events(EventQuery()).count == 4  # and the session


def test_a_second_call_in_a_call_shows_that_it_was_a_router(store: SqliteStore):
    """The first attempt arrived alone and looked like the call itself; the next one amends it."""
    first = take(store, AGENT, call(2), call(3, 2, "anthropic"))
    assert first.summary.models == 1
    session = take(store, call(4, 2, "anthropic"))
    assert session.summary.models == 3
    records = [store.event(event.event_id) or {} for event in session.events]
    assert not any("calls" in record["metadata"]["otel"] for record in records)


def test_messages_in_logs_of_the_inner_span_are_the_outer_one_s(store: SqliteStore):
    """OTel's own instrumentation sends its messages as log records, which come later."""
    inner = call(3, 2, OPENLLMETRY)
    take(store, AGENT, call(2), inner)
    said = log("gen_ai.user.message", inner, {"content": "Hi", "role": "user"})
    received, _ = logs_from_json(logs(said))
    session = settle(store, convert_logs(received).assembly)
    (model,) = (event for event in session.events if event.type == "model")
    record = store.event(model.event_id)
    assert record is not None
    assert record["inputs"]["chat_history"] == [{"role": "user", "content": "Hi"}]


_SMALL = {"gen_ai.request.model": "gpt-4o-mini"}
_DATED = {"gen_ai.request.model": "openai/gpt-4o-2024-08-06"}
_FAILED = {"status": {"code": 2, "message": "overloaded"}}
_STOPPED = {"attributes": {"gen_ai.usage.input_tokens": None}, **_FAILED}


@pytest.mark.parametrize(
    ("spans", "models"),
    [
        ([call(2), call(3, 2, "b", attributes=_DATED)], 1),
        ([call(2), call(3, 2, "b", attributes={"gen_ai.request.model": None})], 1),
        ([call(2), call(3, 2, "b"), call(4, 3, "c")], 1),
        ([call(2), call(3, 2)], 1),
        ([call(2, **_FAILED), call(3, 2, "b", **_FAILED)], 1),
        ([call(2, attributes=dict.fromkeys(_TOKENS)), call(3, 2, "b", **_FAILED)], 1),
        ([call(2, **_FAILED), call(3, 2, "b")], 1),
        ([call(2), call(3, 2, "b", attributes=_SMALL)], 2),
        ([call(2), call(3, 2, attributes={"gen_ai.request.model": None})], 2),
        ([call(2), call(3, 2, "b", attributes={"gen_ai.operation.name": "embeddings"})], 2),
        ([call(2), call(3, 2, "b", **_FAILED)], 2),
        ([call(2), call(3, 2, "b", **_FAILED), call(4, 2, "b")], 3),
        ([call(2), call(3, 2, "b", endTimeUnixNano=str(START + 2 * 10**9))], 2),
        (
            [call(2, attributes={"gen_ai.response.id": "chatcmpl-1"}),
             call(3, 2, "b", attributes={"gen_ai.response.id": "chatcmpl-2"})], 2,
        ),
        (
            [call(2, attributes={"gen_ai.response.id": "run-1"}),
             call(3, 2, "b", attributes={"gen_ai.response.id": "chatcmpl-2"})], 1,
        ),
        ([call(2, attributes={"gen_ai.operation.name": "invoke_agent"}), call(3, 2, "b")], 1),
    ],
    ids=[
        "a model with its provider and date", "a model that only one states", "three layers",
        "a wrapper and its wrapped function", "both failed", "only the inner one says so",
        "the outer one failed later",
        "a router's own model", "a step of the same instrumentation without a model",
        "embeddings in a chat", "an attempt that failed", "a retry", "an answer that came later",
        "other answers", "a framework's own ids", "an agent that names its model",
    ],
)  # fmt: skip
def test_a_span_in_a_span(store: SqliteStore, spans: list[dict[str, Any]], models: int):
    """One event of one call; never of a router, a retry, a fallback or an agent."""
    session = take(store, AGENT, *spans)
    assert session.summary.models == models
    for step in [AGENT, *spans]:  # in requests of their own, and again
        assert take(store, step).events == session.events


_ID = {"gen_ai.response.id": "msg_1"}
_WRONG = {"gen_ai.usage.output_tokens": 12}
_CALLED = {
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [
        {"type": "tool_call", "id": "1", "name": "weather", "arguments": {"city": "Oslo"}}
    ]}])
}  # fmt: skip


def question(text: str) -> dict[str, str]:
    chat = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
    return {"gen_ai.input.messages": json.dumps(chat)}


_ASKED, _ALSO = question("And in Oslo?"), question("And in Rome?")
_LATER = {"startTimeUnixNano": str(START + 10**9), "endTimeUnixNano": str(START + 11 * 10**8)}
_BARE = dict.fromkeys(_TOKENS)


@pytest.mark.parametrize(
    ("spans", "models"),
    [
        ([call(2), call(3, scope="b")], 1),
        ([call(2), call(3, scope="b"), call(4, scope="c"), call(5, 3, "d")], 1),
        ([call(2, attributes=message("Hi")), call(3, scope="b", attributes=message("Hi"))], 1),
        ([call(2, attributes=message("Hi")), call(3, scope="b", attributes=message("Yes"))], 2),
        ([call(2), call(3)], 2),
        ([call(2), call(3, scope="b"), call(4), call(5, scope="b")], 2),
        ([call(2), call(3, scope="b", attributes=_SMALL)], 2),
        ([call(2), call(3, scope="b", attributes={"gen_ai.usage.input_tokens": 3})], 2),
        ([call(2, attributes=_BARE), call(3, scope="b", attributes=_BARE)], 2),
        ([call(2, **_STOPPED), call(3, scope="b", **_STOPPED)], 1),
        ([call(2), call(3, scope="b", attributes=_BARE)], 1),
        ([call(2, attributes=_BARE), call(3, scope="b"), call(4, scope="c", attributes=_BARE)], 1),
        ([call(2, attributes={**_BARE, **_ID}), call(3, scope="b")], 1),
        ([call(2, **_STOPPED), call(3, scope="b", attributes=_BARE)], 1),
        ([call(2, attributes=_ASKED), call(3, scope="b", attributes={**_BARE, **_ALSO})], 2),
        ([call(2, attributes=_CALLED), call(3, scope="b", attributes={**_CALLED, **_WRONG})], 1),
        ([call(2), call(3, scope="b", **_LATER)], 2),
        ([call(2), call(3, 9, "b")], 2),
    ],
    ids=[
        "the same counts at the same time", "four instrumentations", "the same answer",
        "other answers", "parallel calls", "parallel calls, each twice", "other models",
        "other counts", "nothing to compare", "both failed", "a request without its answer",
        "several of them", "an id alone", "an error that only one has", "another question",
        "the same call of a tool",
        "the next call", "another parent",
    ],
)  # fmt: skip
def test_spans_beside_each_other(store: SqliteStore, spans: list[dict[str, Any]], models: int):
    """An instrumentation of a stream does not make its span the current one: both are siblings."""
    session = take(store, AGENT, *spans)
    assert session.summary.models == models
    for step in [AGENT, *spans]:
        assert take(store, step).events == session.events


LOGFIRE, MISTRAL = "logfire.anthropic", "mistralai_sdk_tracer"
LLAMA_INDEX = "openinference.instrumentation.llama_index"


def opened(number: int, parent: int = 1, took: int = 4, **fields: Any) -> dict[str, Any]:
    """The span of a stream's call, which ends before the stream is read. ``took``: ms."""
    end = str(START + (number + took) * 1_000_000)
    attributes = {**_BARE, **_ASKED, **fields.pop("attributes", {})}
    return call(number, parent, LOGFIRE, endTimeUnixNano=end, attributes=attributes, **fields)


def read(number: int, parent: int = 1, at: int = 40, **fields: Any) -> dict[str, Any]:
    """The record of a stream that was read for 30 ms until ``at``, as Logfire writes it."""
    log_of_stream = {"logfire.span_type": "log", "duration": 0.03, **_ASKED, **message("Rain.")}
    attributes = {**log_of_stream, **fields.pop("attributes", {})}
    time = str(START + at * 1_000_000)
    return call(
        number, parent, LOGFIRE, startTimeUnixNano=time, endTimeUnixNano=time,
        attributes=attributes, **fields,
    )  # fmt: skip


def test_a_stream_s_call_and_the_record_of_its_answer_are_one_event(store: SqliteStore):
    """Logfire ends the span at the first byte and writes a log record once the stream was read."""
    models = {"gen_ai.response.model": "gpt-4o-2024-08-06"}, {"gen_ai.response.model": "gpt-4o"}
    session = take(store, AGENT, opened(2, attributes=models[1]), read(3, attributes=models[0]))
    (model,) = (event for event in session.events if event.type == "model")
    record = store.event(model.event_id)
    assert record is not None
    assert (session.summary.models, session.summary.tokens) == (1, 19)
    assert record["outputs"] == {"role": "assistant", "content": "Rain."}
    assert (record["duration"], model.duration) == (38.0, 38.0), "until the end of the stream"
    assert record["metadata"]["response_model"] == "gpt-4o-2024-08-06"
    assert [span["scope"] for span in record["metadata"]["otel"]["calls"]] == [LOGFIRE]


def test_a_stream_that_breaks_off_fails_its_call(store: SqliteStore):
    """The span ended well; the record of the stream has the error."""
    broken = read(3, attributes={"error.type": "ReadError"}, status={"code": 2, "message": "cut"})
    session = take(store, AGENT, opened(2), broken)
    assert [event.error for event in session.events if event.type == "model"] == ["cut"]


_EARLIER = {"endTimeUnixNano": str(START + 20_000_000), **_FAILED}
_OTHER = {"gen_ai.input.messages": '[{"role": "user", "parts": []}]'}


@pytest.mark.parametrize(
    ("spans", "models", "tokens"),
    [
        ([opened(2), call(3, 2, "sdk", attributes=_ID), read(4, attributes=_ID)], 1, 19),
        ([call(2), opened(3), read(4)], 1, 19),
        ([call(2), opened(3, 2), read(4, 2)], 1, 19),
        ([call(2), opened(3, 2), call(5, 3, "sdk", attributes=_ID), read(4, 2, attributes=_ID)],
         1, 19),
        ([opened(2), read(3), opened(60), read(4, at=95)], 2, 38),
        ([opened(2), opened(3), read(4), read(5, at=42)], 2, 38),
        ([opened(2), opened(3), read(4)], 2, 19),
        ([opened(2), read(3, attributes=_OTHER)], 2, 19),
        ([opened(2), read(3, at=15_000)], 2, 19),
        ([opened(2, attributes=_TOKENS), read(3)], 2, 38),
        ([opened(2, **_FAILED), read(3)], 2, 19),
        ([opened(2, 9), read(3)], 2, 19),
        ([call(2, **_EARLIER), opened(3, 2), read(4, 2, **_FAILED)], 1, 19),
        ([read(3)], 1, 19),
    ],
    ids=[
        "the client's own span in it", "another instrumentation beside it", "in another one",
        "three instrumentations", "one stream after the other", "two at the same time",
        "one that was not read", "other messages", "much later", "a call with its counts",
        "a call that failed", "another parent",
        "one that broke off in another one", "the record alone",
    ],
)  # fmt: skip
def test_the_record_of_a_stream(
    store: SqliteStore, spans: list[dict[str, Any]], models: int, tokens: int
):
    """It is of the call before it with the same question, whichever arrives first."""
    session = take(store, AGENT, *spans)
    assert (session.summary.models, session.summary.tokens) == (models, tokens)
    for step in [*reversed(spans), AGENT]:
        assert take(store, step).events == session.events


def lazy(name: str = "OpenAILike.astream_chat", **attributes: Any) -> dict[str, Any]:
    """A framework's span of a stream, which calls the model when the application reads it."""
    stated = {"llm.system": "openai", **_BARE, **attributes}
    return {**call(2, scope=LLAMA_INDEX, attributes=stated, **_AT_ONCE), "name": name}


_AT_ONCE = {"endTimeUnixNano": str(START + 4_000_000)}


@pytest.mark.parametrize(
    ("spans", "models"),
    [
        ([lazy(**message("Rain.")), call(100, attributes=message("Rain."))], 1),
        ([lazy(**_CALLED), call(100, attributes=_CALLED)], 1),
        ([lazy(), call(3, 2, LLAMA_INDEX, attributes={**_BARE, **message("Rain.")}, **_AT_ONCE),
          call(100, attributes=message("Rain."))], 1),
        ([lazy(**message("Rain.")), call(100, attributes=message("Sun."))], 2),
        ([lazy(), call(100)], 2),
        ([lazy("OpenAILike.achat", **message("Rain.")), call(100, attributes=message("Rain."))], 2),
        ([lazy(**message("Rain.")), call(12_000, attributes=message("Rain."))], 2),
    ],
    ids=[
        "the same answer", "the same call of a tool", "a wrapper in a wrapper", "other answers",
        "nothing to compare", "not a stream", "much later",
    ],
)  # fmt: skip
def test_a_stream_that_ends_before_its_call_begins(
    store: SqliteStore, spans: list[dict[str, Any]], models: int
):
    """LlamaIndex returns the stream at once; OpenAI's client is called when the stream is read."""
    session = take(store, AGENT, *spans)
    assert session.summary.models == models
    if models == 1:
        (model,) = (event for event in session.events if event.type == "model")
        assert model.duration == 898.0, "until the end of the client's call"
    for step in [*reversed(spans), AGENT]:
        assert take(store, step).events == session.events


def test_the_messages_of_an_answer_in_its_request_are_one_event(store: SqliteStore):
    """Mistral's client records each of them by the server's clock, which may be another one."""
    request_of = {"gen_ai.operation.name": "invoke_agent", "http.request.method": "POST"}
    conversation = {**call(2, scope=MISTRAL, attributes=request_of), "name": "invoke_agent"}
    said = {"agent.trace.public": "", **_BARE, "gen_ai.request.model": None, **message("Rain.")}
    late = {"startTimeUnixNano": str(START + 5 * 10**9), "endTimeUnixNano": str(START + 10**10)}
    messages = [call(number, 2, MISTRAL, attributes=said, **late) for number in (3, 4)]
    session = take(store, AGENT, conversation, *messages)
    (model,) = (event for event in session.events if event.type == "model")
    record = store.event(model.event_id)
    assert record is not None
    assert (session.summary.tokens, model.duration) == (19, 996.0)
    assert record["outputs"] == {"role": "assistant", "content": "Rain."}
    for step in [*messages, conversation]:
        assert take(store, step).events == session.events


def test_the_record_of_a_stream_in_a_trace_of_its_own_is_of_its_session(store: SqliteStore):
    """A call without a span around it: the record begins a trace, and only names the session."""
    own = {"attributes": {"session.id": "chat-7"}, "parentSpanId": None}
    record = {**read(3, **own), "traceId": TRACES[1]}
    received = [from_json(request(sent))[0] for sent in (record, opened(2, **own))]
    for spans in received:
        spans[0].scope = LOGFIRE
        converted = convert(spans).assembly
        apply(store, converted.plan(store))
        while (change := converted.settle(store))[1]:
            apply(store, change[0])
    (summary,) = store.sessions(SessionQuery()).sessions
    assert (summary.models, summary.tokens) == (1, 19)


def test_spans_that_are_parents_of_each_other_stay(store: SqliteStore):
    """A hostile sender can write circles; nothing may vanish in one."""
    assert take(store, AGENT, call(2, 3), call(3, 2, "b")).summary.models == 2


def test_counts_are_those_that_most_instrumentations_state(store: SqliteStore):
    """One of them adds the tokens of a stream's first chunk to the last one's."""
    wrong = {"gen_ai.usage.output_tokens": 12}
    session = take(store, AGENT, call(2, attributes=wrong), call(3, 2, "b"), call(4, 3, "c"))
    assert session.summary.tokens == 19


def test_more_calls_at_once_than_are_compared_stay_as_they_are(store: SqliteStore):
    """What is read for one request is bounded, whatever a sender nests."""
    calls = [call(2 + n % 9, spanId=f"{n:016x}") for n in range(2, 700)]
    assert take(store, AGENT, *calls).summary.models == 698
    late = call(5, scope="b", spanId="f" * 16)
    assert take(store, late).summary.models == 699
