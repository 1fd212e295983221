"""What a call adds to the chats before it."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.store.thread.history import History

SYSTEM = {"role": "system", "content": "Be brief."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def texts(messages: Any) -> list[Any]:
    return [message["content"] for message in messages]


def test_a_call_that_repeats_the_history_adds_its_last_question():
    """The second call of a chat has the first exchange in it, which is shown already."""
    history = History()
    first = history.add([SYSTEM, user("one?")])
    history.answer([assistant("one.")])
    second = history.add([SYSTEM, user("one?"), assistant("one."), user("two?")])
    assert (texts(first.messages), first.system) == (["one?"], "Be brief.")
    assert (texts(second.messages), second.earlier, second.system) == (["two?"], [], None)
    assert (first.continues, second.continues) == (False, True)


@pytest.mark.parametrize("answer", ["one.", "1"], ids=["as it was said", "in other words"])
def test_the_steps_of_an_earlier_turn_are_not_shown_again(answer: str):
    """A turn says its question and its answer; the next one repeats the tool's call between."""
    calling = {"tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}
    steps = [assistant("", **calling), {"role": "tool", "content": "1"}, assistant("one.")]
    history = History()
    history.add([SYSTEM, user("one?")])
    history.answer([assistant(answer)])
    added = history.add([SYSTEM, user("one?"), *steps, user("two?")])
    assert (texts(added.messages), texts(added.earlier)) == (["two?"], [])


def test_the_whole_history_after_a_window_of_it_goes_on_from_the_whole():
    """One call in between was given the last messages only."""
    chat = [user("one?"), assistant("one."), user("two?"), assistant("two."), user("one?")]
    history = History()
    history.add(chat)
    history.answer([assistant("1")])
    history.add([*chat[-1:], assistant("1"), user("3?")])
    history.answer([assistant("3")])
    added = history.add([*chat, assistant("1"), user("4?")])
    assert (texts(added.messages), texts(added.earlier)) == (["4?"], [])


def test_an_answer_that_only_the_history_has_is_shown_before_the_next_question():
    """OpenLLMetry's spans of OpenAI's agents lack the answers of chat completions."""
    history = History()
    history.add([SYSTEM, user("one?")])
    added = history.add([SYSTEM, user("one?"), assistant("one."), user("two?")])
    assert (texts(added.messages), texts(added.earlier)) == (["two?"], ["one."])


def test_a_user_who_says_the_same_again_is_heard_again():
    """ "yes" twice is two messages, with the history in the call and without it."""
    history = History()
    history.add([user("yes")])
    history.answer([assistant("Sure?")])
    again = history.add([user("yes"), assistant("Sure?"), user("yes")])
    history.answer([assistant("Done.")])
    alone = history.add([user("yes")])
    assert texts(again.messages) == ["yes"]
    assert texts(alone.messages) == ["yes"]


def test_a_window_of_the_history_is_recognised():
    """Applications send the last messages only; the instructions stay in front."""
    history = History()
    history.add([SYSTEM, user("one?"), assistant("one."), user("two?")])
    history.answer([assistant("two.")])
    added = history.add([SYSTEM, assistant("one."), user("two?"), assistant("two."), user("3?")])
    assert (texts(added.messages), texts(added.earlier)) == (["3?"], [])


def test_messages_that_come_back_in_another_form_are_the_same():
    """A cache mark on the last message, parts in place of a text, arguments as a text."""
    history = History()
    history.add([user("one?"), {**user("two?"), "cache_control": {"type": "ephemeral"}}])
    history.answer(
        [
            assistant(
                "",
                tool_calls=[{"id": "1", "function": {"name": "look", "arguments": {"a": 1}}}],
            )
        ]
    )
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    parts = [{"type": "text", "text": "two?"}]
    result = {"role": "tool", "tool_call_id": "1", "content": "found"}
    added = history.add(
        [
            user("one?"),
            {"role": "user", "content": parts},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            result,
        ]
    )
    assert texts(added.messages) == ["found"]


def test_an_answer_that_comes_back_shortened_is_not_added():
    """Applications trim what they send back; the call still goes on from the chat."""
    history = History()
    history.add([user("one?")])
    history.answer([assistant("A very long answer.")])
    added = history.add([user("one?"), assistant("A very long…"), user("two?")])
    assert (texts(added.messages), texts(added.earlier)) == (["two?"], [])


def test_a_history_of_before_the_session_is_apart_from_the_question():
    """A session that takes up an old chat begins with messages that no turn has."""
    added = History().add([user("old?"), assistant("old."), user("new?")])
    assert (texts(added.earlier), texts(added.messages)) == (["old?", "old."], ["new?"])


def test_two_agents_whose_chats_alternate_are_kept_apart():
    """Each call is compared with the chat that it goes on from."""
    history = History()
    history.add([user("plan?")])
    history.answer([assistant("plan.")])
    history.add([user("write?")])
    history.answer([assistant("text.")])
    planner = history.add([user("plan?"), assistant("plan."), user("plan again?")])
    history.answer([assistant("again.")])
    writer = history.add([user("write?"), assistant("text."), user("shorter?")])
    assert texts(planner.messages) == ["plan again?"]
    assert texts(writer.messages) == ["shorter?"]


def test_a_long_history_of_before_the_session_is_counted():
    """Of a chat that nothing goes before, the last hundred messages are read."""
    old = [entry for number in range(100) for entry in (user(f"{number}?"), assistant("."))]
    added = History().add([*old, user("new?")])
    assert texts(added.messages) == ["new?"]
    assert len(added.earlier) + added.omitted == 200


@pytest.mark.parametrize("entry", [None, 5, [], {}, {"role": 3}, {"role": "user"}, "text"])
def test_nothing_that_is_recorded_raises(entry: Any):
    """Whatever stands where a message should."""
    history = History()
    history.add([entry, user("?")])
    history.answer([{"role": "assistant", "content": entry}])
    history.add([entry, user("?"), entry, user("!")])
