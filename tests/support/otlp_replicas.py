"""Servers that take the spans of one trace at the same time, step by step, over one store."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st
from support.otlp_requests import START, request, span

from sessiontrace.server.apis.otlp import mapping
from sessiontrace.server.store_changes import Change
from sessiontrace.store.models import EventQuery, SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.wire.otlp_json_reader import from_json

TRACES = ("0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319d")
_SESSIONS: Sequence[dict[str, str]] = (
    {}, {}, {}, {"session.id": "s1"}, {"session.id": "s2"}, {"gen_ai.conversation.id": "c1"},
    {"gen_ai.conversation.id": "c2"},
)  # fmt: skip


@st.composite
def traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The spans of one or two traces; some name a session, of one kind or several."""
    spans: list[dict[str, Any]] = []
    for trace in TRACES[: draw(st.integers(1, 2))]:
        size = draw(st.integers(1, 6))
        for n in range(size):
            parent = None if n == 0 else f"{draw(st.integers(1, n)):016x}"
            start = START + draw(st.integers(0, 9)) * 1_000_000
            attributes = dict(draw(st.sampled_from(_SESSIONS)))
            if draw(st.booleans()):
                attributes["user.id"] = draw(st.sampled_from(("ada", "bob")))
            if draw(st.booleans()):
                attributes |= {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": n}
            spans.append(
                span(
                    f"step {n}", trace, parent, attributes=attributes, spanId=f"{n + 1:016x}",
                    startTimeUnixNano=str(start), endTimeUnixNano=str(start + 5_000_000 * (n + 1)),
                    status={"code": 2 * draw(st.integers(0, 1)), "message": "no"},
                )
            )  # fmt: skip
    return spans


CALLS: Sequence[tuple[str, dict[str, Any]]] = (
    ("openinference.instrumentation.openai", {"openinference.span.kind": "LLM"}),
    ("opentelemetry.instrumentation.openai.v1", {"gen_ai.operation.name": "chat"}),
    ("anthropic", {"gen_ai.operation.name": "chat"}),
)
"""Instrumentations that may record one call, each in its own scope."""


@st.composite
def calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    """An agent's calls, each recorded once or by several instrumentations, or with calls in it."""
    spans = [span("agent", TRACES[0], spanId=f"{1:016x}", endTimeUnixNano=str(START + 10**9))]
    for number in range(draw(st.integers(1, 3))):
        parent, start, end = f"{1:016x}", START, START + 10**9
        for scope, attributes in CALLS[: draw(st.integers(1, 3))]:
            start, end = start + 1_000_000, end - 1_000_000
            says = {
                "gen_ai.request.model": draw(st.sampled_from(("gpt-4o", "gpt-4o", "gpt-4o-mini"))),
                "gen_ai.usage.input_tokens": draw(st.integers(0, 9)),
                f"of {scope}": number,
                **attributes,
                **draw(st.sampled_from(_SESSIONS[:4])),
            }
            kind = draw(st.integers(0, 8))
            if kind == 0:
                spans.append(_lazy(len(spans) + 1, parent, start - 900_000, says))
            if kind < 2:
                spans += _stream(len(spans), parent, start + draw(st.integers(0, 9)), says)
            for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
                own = f"{len(spans) + 1:016x}"
                spans.append(
                    span(
                        "call", TRACES[0], parent, attributes=says, spanId=own, scope=scope,
                        startTimeUnixNano=str(start), endTimeUnixNano=str(end),
                        status={"code": draw(st.sampled_from((0, 0, 0, 2))), "message": "no"},
                    )
                )  # fmt: skip
            parent = draw(st.sampled_from((own, own, parent)))
        spans.append(span("GET", TRACES[0], parent, spanId=f"{len(spans) + 1:016x}"))
    return spans


def _stream(
    number: int, parent: str, start: int, says: Mapping[str, Any]
) -> Sequence[dict[str, Any]]:
    """A stream's call and the record of its answer, by one instrumentation."""
    late = {"logfire.span_type": "log", "duration": 0.03, **says}
    question = {name: value for name, value in says.items() if "usage" not in name}
    times = ((start, start + 4_000_000, question), (start + 40_000_000, start + 40_000_000, late))
    return [
        span(
            "call", TRACES[0], parent, attributes=attributes, spanId=f"{number + n:016x}",
            scope="logfire.x", startTimeUnixNano=str(first), endTimeUnixNano=str(last),
        )
        for n, (first, last, attributes) in enumerate(times, 1)
    ]  # fmt: skip


def _lazy(number: int, parent: str, start: int, says: Mapping[str, Any]) -> dict[str, Any]:
    """A framework's span of a stream, which may end before the call begins."""
    says = {"llm.system": "x", **says}
    return span(
        "llm.stream_chat", TRACES[0], parent, attributes=says, spanId=f"{number:016x}",
        scope="openinference.instrumentation.llama_index",
        startTimeUnixNano=str(start), endTimeUnixNano=str(start + 100_000),
    )  # fmt: skip


def taken(store: Store, spans: Sequence[dict[str, Any]]) -> Iterator[None]:
    """A server takes one request; it pauses wherever another server may do something."""
    received, _ = from_json(request(*spans))
    for step, sent in zip(received, spans, strict=True):
        step.scope = sent.get("scope", "s")
    assembly = mapping.convert(received).assembly
    change, again = assembly.plan(store), True
    for _ in range(10):
        if not again:
            return
        yield
        apply(store, change)
        yield
        change, again = assembly.settle(store)
    raise AssertionError(f"it does not settle: {change}")


def apply(store: Store, change: Change) -> None:
    """Write a change as the server's writer does."""
    if change.records:
        assert store.write(change.records) == {}
    for move in change.moves:
        store.move(move.source, move.target, move.event_ids)


def take_in_any_way(
    stores: Sequence[Store], spans: Sequence[dict[str, Any]], requests: int, order: random.Random
) -> None:
    """Spread spans over requests, some twice, to servers that work at the same time."""
    bodies: list[list[dict[str, Any]]] = [[] for _ in range(requests)]
    for step in [*spans, *order.sample(spans, k=len(spans) // 3)]:
        order.choice(bodies).append(step)
    for body in bodies:
        order.shuffle(body)
    queues = [[body for n, body in enumerate(bodies) if n % len(stores) == at and body]
              for at in range(len(stores))]  # fmt: skip
    working: dict[int, Iterator[None]] = {}
    while working or any(queues):
        at = order.choice([n for n in range(len(stores)) if n in working or queues[n]])
        if at not in working:
            working[at] = taken(stores[at], queues[at].pop())
        if next(working[at], working) is working:
            del working[at]


def everything(store: Store) -> Any:
    """All that a store shows."""
    lines = store.sessions(SessionQuery(limit=100)).sessions
    records = store.events(EventQuery(limit=1000)).events
    in_order = sorted(records, key=lambda record: str(record["event_id"]))
    return lines, [store.session(line.session_id) for line in lines], in_order
