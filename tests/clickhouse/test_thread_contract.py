"""A session as a thread, from every store: turns with what each adds, whoever recorded them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.records import T0, event, id_of, session_end, session_start, update

from sessiontrace.model.ids import new_id, session_uuid
from sessiontrace.model.record import Record
from sessiontrace.server.apis.page.thread import ThreadQuery, thread
from sessiontrace.store.protocol import Store

pytestmark = pytest.mark.timeout(240)  # an engine, on a machine that is busy

SYSTEM = {"role": "system", "content": "Be brief."}


def page(store: Store, session: str, after: Any = None, limit: int = 40) -> dict[str, Any]:
    if isinstance(after, str):
        start, _, turn_id = after.partition(":")
        after = int(start), turn_id
    answer = thread(store, ThreadQuery(session, after, limit))
    assert answer is not None
    json.dumps(answer)
    return answer


def said(answer: dict[str, Any]) -> list[list[str]]:
    """Of each turn, what was said in it."""
    return [
        [f"{line['role']}: {line['text']}" for line in turn["lines"] if not line["earlier"]]
        for turn in answer["turns"]
    ]


def call(session: str, at: int, chat: list[Any], answer: Any, **more: Any) -> Record:
    fields = {
        "event_type": "model", "event_name": "chat gpt-5", "inputs": {"chat_history": chat},
        "outputs": answer,
    }  # fmt: skip
    return event(session, at, 100, **{**fields, **more})


def chat(turns: int) -> list[list[dict[str, str]]]:
    """The chats that the calls of a conversation are given, each with the history."""
    history: list[dict[str, str]] = [SYSTEM]
    chats = []
    for number in range(turns):
        history.append({"role": "user", "content": f"{number}?"})
        chats.append(list(history))
        history.append({"role": "assistant", "content": f"{number}."})
    return chats


def test_turns_are_what_their_own_inputs_and_outputs_say(store: Store):
    """With time, tokens, cost, errors, scores and tools; by the application's own id, too."""
    own_id = f"conv-{new_id()}"
    session, turn, second = session_uuid(own_id), new_id(), new_id()
    model = call(
        session, T0 + 10, [{"role": "user", "content": "Docs: … hi?"}],
        {"role": "assistant", "content": "Hello."}, parent_id=turn,
        metadata={"total_tokens": 12, "cost": 0.5},
    )  # fmt: skip
    tool = event(session, T0 + 50, 7, parent_id=id_of(model), event_name="look", error="E: no")
    store.write(
        [
            session_end(
                session, T0, 200, event_id=turn, inputs={"message": "hi?"},
                outputs={"reply": "Hello!"},
            ),
            model, tool,
            session_end(
                session, T0 + 500, 100, event_id=second, inputs={"message": "bye"},
                outputs={"reply": "Bye."},
            ),
            update(turn, session, feedback={"helpful": 1}),
        ]
    )  # fmt: skip
    answer = page(store, own_id)
    assert (answer["conversation"], answer["next"]) == (True, None)
    assert answer["session"]["session_id"] == session
    assert said(answer) == [["user: hi?", "assistant: Hello!"], ["user: bye", "assistant: Bye."]]
    first = answer["turns"][0]
    assert (first["turn_id"], first["start_time"], first["duration"]) == (turn, T0, 200.0)
    assert (first["tokens"], first["cost"], first["steps"], first["errors"]) == (12, 0.5, 2, 1)
    assert (first["failed"], first["scores"]) == (id_of(tool), {"helpful": 1.0})
    assert [(one["name"], one["event_id"], one["error"]) for one in first["tools"]] == [
        ("look", id_of(tool), "E: no")
    ]


def test_turns_that_say_nothing_are_what_their_calls_add(store: Store):
    """Every call repeats the history: each message is in one turn, as are the instructions."""
    session = new_id()
    records = []
    for number, messages in enumerate(chat(3)):
        turn, at = new_id(), T0 + number * 1000
        answer = {"role": "assistant", "content": f"{number}."}
        records.append(session_end(session, at, 900, event_id=turn))
        records.append(call(session, at + 10, messages, answer, parent_id=turn))
    store.write(records)
    assert said(page(store, session)) == [
        ["system: Be brief.", "user: 0?", "assistant: 0."],
        ["user: 1?", "assistant: 1."],
        ["user: 2?", "assistant: 2."],
    ]


def test_pages_show_each_turn_once_and_no_message_twice(store: Store):
    """The first turn of a page goes on from the turns before it, which the page does not have."""
    session = new_id()
    store.write([session_start(session)])
    for number, messages in enumerate(chat(7)):
        answer = {"role": "assistant", "content": f"{number}."}
        store.write([call(session, T0 + number * 1000, messages, answer)])
    turns: list[list[str]] = []
    after = None
    while True:
        answer = page(store, session, after, limit=3)
        turns += said(answer)
        after = answer["next"]
        if after is None:
            break
    assert turns[1:] == [[f"user: {number}?", f"assistant: {number}."] for number in range(1, 7)]


def test_an_agents_loop_without_turns_is_one_turn_for_each_question(store: Store):
    """HoneyHive's and Humanloop's clients record calls and tools right below the session."""
    session = new_id()
    ask = {"role": "user", "content": "Weather?"}
    wants = {
        "role": "assistant", "content": "I look it up.",
        "tool_calls": [{"id": "1", "function": {"name": "weather", "arguments": '{"in":"Rome"}'}}],
    }  # fmt: skip
    gets = {"role": "tool", "tool_call_id": "1", "content": "sunny"}
    tells = {"role": "assistant", "content": "Sunny."}
    more = {"role": "user", "content": "Thanks!"}
    store.write(
        [
            session_end(session, took=5000),
            event(session, T0 + 5, 4, event_name="guard"),
            call(session, T0 + 10, [ask], wants),
            event(session, T0 + 200, 50, event_name="weather"),
            call(session, T0 + 300, [ask, wants, gets], tells),
            call(session, T0 + 3000, [ask, wants, gets, tells, more], {**tells, "content": "Bye."}),
        ]
    )
    answer = page(store, session)
    assert answer["conversation"]
    assert said(answer) == [
        ["user: Weather?", "assistant: I look it up.", "assistant: Sunny."],
        ["user: Thanks!", "assistant: Bye."],
    ]
    first = answer["turns"][0]
    assert [one["name"] for one in first["tools"]] == ["guard", "weather"]
    assert (first["start_time"], first["steps"]) == (T0 + 5, 4)


def test_tool_calls_that_have_no_step_are_shown_from_the_messages(store: Store):
    """A client that runs its tools unrecorded sends their results in the next call."""
    session, turn = new_id(), new_id()
    ask = {"role": "user", "content": "Weather?"}
    wants = {"role": "assistant", "content": None, "tool_calls": [
        {"id": "1", "function": {"name": "weather", "arguments": '{"in":"Rome"}'}}]}  # fmt: skip
    gets = {"role": "tool", "tool_call_id": "1", "content": "sunny"}
    store.write(
        [
            session_end(session, T0, 900, event_id=turn),
            call(session, T0 + 10, [ask], wants, parent_id=turn),
            call(session, T0 + 300, [ask, wants, gets], {"role": "assistant", "content": "Sunny."},
                 parent_id=turn),
        ]
    )  # fmt: skip
    (one,) = page(store, session)["turns"]
    (tool,) = one["tools"]
    assert (tool["name"], tool["event_id"]) == ("weather", None)
    assert (tool["arguments"], tool["result"]) == ({"in": "Rome"}, "sunny")


def test_a_pipeline_is_no_conversation(store: Store):
    """Its steps are no turns: it is one exchange, what the session was given and what it gave."""
    session = new_id()
    store.write(
        [
            session_end(session, T0, 900, inputs={"topic": "cats"}, outputs={"essay": "Cats."}),
            call(session, T0, [{"role": "user", "content": "Plan cats"}], {"result": "1. cats"},
                 event_name="plan"),
            call(session, T0 + 200, [{"role": "user", "content": "Write: 1. cats"}],
                 {"result": "Cats."}, event_name="write"),
        ]
    )  # fmt: skip
    answer = page(store, session)
    assert not answer["conversation"]
    assert said(answer) == [["user: cats", "assistant: Cats."]]


def test_an_agents_loop_for_one_question_is_no_conversation(store: Store):
    """Its calls repeat under one name and go on from one another, but the user spoke once."""
    session = new_id()
    ask = {"role": "user", "content": "Weather?"}
    chat: list[Any] = [ask]
    records = [session_end(session, took=9000)]
    for number in range(5):
        answer = {"role": "assistant", "content": f"step {number}"}
        records.append(call(session, T0 + number * 1000, list(chat), answer))
        chat += [{**answer, "tool_calls": [{"id": "1", "function": {"name": "look"}}]},
                 {"role": "tool", "tool_call_id": "1", "content": "x"}]  # fmt: skip
    store.write(records)
    answer = page(store, session)
    assert not answer["conversation"]
    assert said(answer)[0][0] == "user: Weather?"


def test_a_batch_of_steps_with_texts_is_no_conversation(store: Store):
    """A loop over documents: one name, one after another, but nothing in it is a question."""
    session = new_id()
    steps = [
        event(session, T0 + n * 1000, 9, event_type="chain", event_name="clean",
              inputs={"document": f"text {n}"}, outputs={"cleaned": "text"})
        for n in range(4)
    ]  # fmt: skip
    store.write([session_end(session, took=9000), *steps])
    assert not page(store, session)["conversation"]


def test_questions_and_answers_without_a_model_call_are_a_conversation(store: Store):
    """HoneyHive's clients may record a chain event for each exchange, and nothing below it."""
    session = new_id()
    steps = [
        event(session, T0 + n * 1000, 9, event_type="chain", event_name="turn",
              inputs={"question": f"{n}?"}, outputs={"answer": f"{n}."})
        for n in range(3)
    ]  # fmt: skip
    store.write([session_end(session, took=9000), *steps])
    answer = page(store, session)
    assert answer["conversation"]
    assert said(answer) == [[f"user: {n}?", f"assistant: {n}."] for n in range(3)]


def test_exchanges_below_one_root_are_turns(store: Store):
    """A voice agent's trace: one span for the call, a span for each exchange."""
    session = new_id()
    root = event(session, T0, 90_000, event_type="chain", event_name="call")
    records = [session_start(session), root]
    for number, messages in enumerate(chat(3)):
        answer = {"role": "assistant", "content": f"{number}."}
        exchange = event(session, T0 + number * 1000, 500, event_type="chain", event_name="turn",
                         parent_id=id_of(root))  # fmt: skip
        records += [exchange, call(session, T0 + number * 1000 + 1, messages, answer,
                                   parent_id=id_of(exchange))]  # fmt: skip
    store.write(records)
    answer = page(store, session)
    assert answer["conversation"]
    assert said(answer)[1:] == [["user: 1?", "assistant: 1."], ["user: 2?", "assistant: 2."]]
    assert sum(turn["steps"] for turn in answer["turns"]) == 7


def test_a_turn_that_nobody_can_read_shows_its_values(store: Store):
    """Nothing of a turn is left out because it is no text."""
    session = new_id()
    values: dict[str, Any] = {"inputs": {"a": 1, "b": [2]}, "outputs": {"c": {"d": 3}}}
    store.write([session_end(session, event_id=new_id(), **values)])
    (turn,) = page(store, session)["turns"]
    assert [line["data"] for line in turn["lines"]] == [values["inputs"], values["outputs"]]


def test_a_trace_whose_root_never_came_is_one_turn(store: Store):
    """PostHog's clients may send the generations of a trace without the trace."""
    session = new_id()
    records = [session_start(session)]
    for number, messages in enumerate(chat(2)):
        lost, at = new_id(), T0 + number * 1000
        answer = {"role": "assistant", "content": f"{number}."}
        records.append(event(session, at, 50, parent_id=lost, event_name="retrieve"))
        records.append(call(session, at + 100, messages, answer, parent_id=lost))
    store.write(records)
    answer = page(store, session)
    assert said(answer)[1] == ["user: 1?", "assistant: 1."]
    assert [len(turn["tools"]) for turn in answer["turns"]] == [1, 1]


def test_long_texts_are_cut_and_say_how_long_they_are(store: Store):
    """A page of turns stays small, whatever was said in it."""
    session = new_id()
    store.write(
        [session_end(session, event_id=new_id(), inputs={"message": "a" * 50_000},
                     outputs={"reply": "b"})]
    )  # fmt: skip
    (turn,) = page(store, session)["turns"]
    assert (len(turn["lines"][0]["text"]), turn["lines"][0]["length"]) == (20_000, 50_000)


def test_a_circle_of_parents_is_still_shown(store: Store):
    """Whatever a client says of parents, every step is in one turn."""
    session, one, other = new_id(), new_id(), new_id()
    store.write(
        [
            session_start(session),
            event(session, T0, 10, event_id=one, parent_id=other),
            event(session, T0 + 20, 10, event_id=other, parent_id=one),
        ]
    )
    (turn,) = page(store, session)["turns"]
    assert turn["steps"] == 2
