"""What users test their traced programs with."""

from __future__ import annotations

import asyncio

import pytest

import sessiontrace as st
from sessiontrace import testing


@st.tool
def search(query: str) -> list[str]:
    if query == "nothing":
        raise ValueError("nothing found")
    return [query]


@st.trace
async def answer(question: str) -> str:
    for query in ("nothing", question):
        try:
            search(query)
        except ValueError:
            pass
    return "42"


def test_a_program_is_captured_as_a_tree() -> None:
    """The usual test: run the code, compare the tree, look at a node."""
    with testing.capture() as traces:
        with st.session("chat", user="ann"):
            asyncio.run(answer("why"))
    traces.assert_tree("""
        session chat
          chain answer
            tool search !ValueError: nothing found
            tool search
    """)
    node = traces.session.find("answer")
    assert node.inputs == {"question": "why"}
    assert node.outputs == "42"
    assert node.children[1].outputs == ["why"]
    assert traces.session.record["user_properties"] == {"user_id": "ann"}


def test_a_difference_is_shown_line_by_line() -> None:
    """Whoever reads the failure must see what was missing."""
    with testing.capture() as traces, st.session("chat"):
        search("x")
    with pytest.raises(AssertionError, match=r"(?s)-  tool find.*\+  tool search"):
        traces.assert_tree("session chat\n  tool find")
    with pytest.raises(AssertionError, match="0 events named 'find'"):
        traces.session.find("find")


def test_two_runs_give_the_same_bytes() -> None:
    """Pinned ids and clock make records comparable, also with stored ones."""

    def once() -> list[tuple[str, dict[str, object]]]:
        with testing.capture() as traces, st.session("chat"):
            search("x")
        return traces.records

    assert once() == once()
    (_, start), (_, event), _ = once()
    assert start["start_time"] == 1_767_225_600_000 + 1
    assert event["duration"] == 1.0
    assert str(event["event_id"]).startswith("019b76da-a8")


def test_afterwards_everything_is_as_before() -> None:
    """The block may be nested, and leaves neither a recorder nor pinned ids behind."""
    with testing.capture() as outer:
        with st.session("outer"):
            with testing.capture() as inner:
                search("inner")
            search("outer")
    assert [event["event_name"] for event in inner.events] == ["search"]
    assert [event["inputs"] for event in outer.events] == [{"query": "outer"}]
    assert testing.default_tracer.recorder is None
    from sessiontrace.model.ids import new_id

    assert new_id() != new_id()


def test_what_is_still_open_is_marked() -> None:
    """A session the code forgot to leave."""
    with testing.capture() as traces:
        session = st.session("forgotten").__enter__()
        assert traces.tree() == "session forgotten (open)"
        session.end()
    assert traces.tree() == "session forgotten"


def test_late_scores_are_merged_into_the_tree() -> None:
    """As a backend would show it."""
    with testing.capture() as traces:
        with st.session("chat") as session:
            pass
        st.score("helpful", 1, session_id=session.session_id)
    assert traces.session.record["metrics"] == {"helpful": 1}


pytest_plugins = ["pytester"]


def test_the_plugin_gives_a_fixture(pytester: pytest.Pytester) -> None:
    """`def test_x(traces)` in a user's own test suite."""
    pytester.makepyfile(
        """
        import sessiontrace as st

        @st.trace
        def work():
            return 1

        def test_it(traces):
            work()
            traces.assert_tree("session work\\n  chain work")
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1)
