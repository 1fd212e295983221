"""The module-level functions beside session, span and trace, on the default tracer."""

from __future__ import annotations

import ast
import importlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace import api
from sessiontrace.testing import Captured, capture


@pytest.fixture
def traces() -> Iterator[Captured]:
    with capture() as captured:
        yield captured


def updates(traces: Captured) -> list[dict[str, Any]]:
    return [record for kind, record in traces.records if kind == "update"]


def test_the_functions_are_the_methods_of_the_default_tracer() -> None:
    """``api.__all__`` is the one list of names: each is assigned, and nothing else is."""
    bound = {
        name
        for name, value in vars(api).items()
        if getattr(value, "__self__", None) is api.default_tracer
    }
    assert bound == set(api.__all__)
    for name in api.__all__:
        assert getattr(api, name) == getattr(api.default_tracer, name)
        assert getattr(st, name) is getattr(api, name)


def test_type_checkers_see_the_table_of_public_names() -> None:
    """A checker reads imports and no table; both name the same things in the same places."""
    tree = ast.parse(Path(st.__file__).read_text())
    imported = {
        alias.asname: str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    modules = {name for name, place in imported.items() if place == "sessiontrace"}
    places = {**imported, **{name: f"sessiontrace.{name}" for name in modules}}
    assert set(st.__all__) == {*api.__all__, *places}
    for name, place in places.items():
        module = importlib.import_module(place)
        assert getattr(st, name) is (module if name in modules else getattr(module, name))


def test_a_manual_span_is_never_current_and_ends_anywhere(traces: Captured) -> None:
    """For callbacks: begun here, ended in another thread, with the current span untouched."""
    with st.session("chat") as session:
        handle = st.start_span("manual", type="tool", inputs={"q": 1})
        assert st.current_span() is session
        below = st.start_span("below", parent=handle)
        below.end()
        thread = threading.Thread(target=handle.end, kwargs={"outputs": 2})
        thread.start()
        thread.join()
        handle.end(outputs=3)
    traces.assert_tree("""
        session chat
          tool manual
            chain below
    """)
    assert traces.session.find("manual").outputs == 2


@pytest.mark.parametrize("parent", [5, "x", st.current_span()], ids=str)
def test_a_manual_span_with_a_wrong_parent_belongs_to_the_current(
    traces: Captured, parent: Any
) -> None:
    """Neither nonsense nor a no-op handle may raise."""
    with st.session("chat"):
        st.start_span("manual", parent=parent).end()
        st.start_span("unopened", parent=st.span("never entered")).end()
    assert traces.tree() == "session chat\n  chain manual\n  chain unopened"


def test_a_manual_span_alone_has_a_session_of_its_own(traces: Captured) -> None:
    """It ends with it."""
    st.start_span("alone").end()
    assert traces.tree() == "session alone\n  chain alone"
    assert not st.current_span()


def test_update_speaks_of_the_current_span(traces: Captured) -> None:
    """From deep inside, without passing a handle along."""
    with st.session("chat"), st.span("step"):
        st.update(metadata={"deep": True}, metrics={"n": 1})
    assert traces.session.find("step").record["metadata"] == {"deep": True}
    st.update(metadata={"nobody": 1})


def test_a_score_inside_belongs_to_the_session(traces: Captured) -> None:
    """Numbers are metrics, words are feedback; before the end they are part of the end record."""
    with st.session("chat"), st.span("step"):
        st.score("helpful", True, comment="good")
        st.score("tone", "friendly")
    record = traces.session.record
    assert record["metrics"] == {"helpful": True}
    assert record["feedback"] == {"helpful_comment": "good", "tone": "friendly"}
    assert updates(traces) == []


def test_a_score_later_names_the_session(traces: Captured) -> None:
    """By its UUID, by the caller's own id, or for one event of it."""
    with st.session("chat", session_id="chat-7") as session, st.span("step") as span:
        pass
    st.score("helpful", 0.5, session_id="chat-7")
    st.score("correct", 1, session_id=session.session_id, event_id=span.event_id)
    st.score("lost", 1)
    st.score("wrong", 1, session_id="chat-7", event_id="no uuid")
    first, second = updates(traces)
    assert first["event_id"] == first["session_id"] == session.session_id
    assert first["metrics"] == {"helpful": 0.5}
    assert second["event_id"] == span.event_id
    assert second["session_id"] == session.session_id


def test_a_score_holds_anything_and_hides_secrets(traces: Captured) -> None:
    """Late records take the same road as all others."""
    with st.session("chat") as session:
        pass
    value: Any = {"api_key": "hunter2", "bad": object(), "\ud83d": float("nan")}
    st.score("odd", value, session_id=session.session_id, comment="sk-proj-AbCdEf0123456789AbCdEf")
    (update,) = updates(traces)
    assert update["feedback"]["odd"]["api_key"] == "***"
    assert update["feedback"]["odd_comment"] == "***"


def test_suppressed_code_records_nothing(traces: Captured) -> None:
    """Spans, sessions, threads and decorated functions inside; a health check, for instance."""

    @st.trace
    def work() -> bool:
        return bool(st.current_span()) or bool(st.current_session())

    with st.session("chat"):
        with st.suppress():
            assert work() is False
            with st.session("inner"), st.span("step"):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
        work()
    with st.suppress(), st.span("alone"):
        pass
    assert traces.tree() == "session chat\n  chain work"
    assert traces.dropped == []


def test_a_span_with_a_parent_elsewhere_keeps_its_inputs_in_suppressed_code(
    traces: Captured,
) -> None:
    """The parent says whether it is recorded, not the place where it is started."""
    with st.session("s") as session:
        with st.suppress():
            st.start_span("there", parent=session, inputs={"a": 1}).end()
            st.start_span("here", inputs={"a": 1}).end()
    assert [(one["event_name"], one["inputs"]) for one in traces.events] == [("there", {"a": 1})]


def test_suppress_as_a_decorator(traces: Captured) -> None:
    """On a function and on a generator."""

    @st.suppress()
    def quiet() -> None:
        with st.span("quiet"):
            pass

    @st.suppress()
    def numbers() -> Iterator[int]:
        with st.span("quiet"):
            yield 1

    with st.session("chat"):
        quiet()
        for _ in numbers():
            with st.span("loud"):
                pass
    assert traces.tree() == "session chat\n  chain loud"


@pytest.mark.asyncio
async def test_stream_watches_what_is_read(traces: Captured) -> None:
    """Sync and async; see test_stream for the rest."""

    async def words() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async with st.session("chat"):
        async with st.span("call", type="model"):
            async for _ in st.stream(words()):
                pass
        assert list(st.stream(["x", "y"], name="own")) == ["x", "y"]
    assert traces.session.find("call").outputs == "ab"
    assert traces.session.find("own").record["metrics"]["chunks"] == 2


def test_headers_go_out_and_come_in(traces: Captured) -> None:
    """inject and extract on the default tracer; nothing to tell gives a no-op."""
    with st.session("chat"), st.span("call"):
        headers = st.inject({})
    with st.extract(headers) as remote, st.span("there"):
        assert st.current_session().session_id == remote.session_id
    with st.extract({}), st.span("alone"):
        pass
    assert (
        traces.tree() == "session chat\n  chain call\n    chain there\nsession alone\n  chain alone"
    )
    assert st.inject({"a": "b"}) == {"a": "b"}


def test_switched_off_nothing_happens_and_nothing_breaks() -> None:
    """Every function, with tracing off."""
    from sessiontrace.api import default_tracer

    before = default_tracer.off, default_tracer.recorder
    default_tracer.off, default_tracer.recorder = True, None
    try:
        with st.session("s"), st.span("x") as span, st.suppress():
            span.set(outputs=1)
            st.update(metrics={"a": 1})
            st.score("a", 1)
            st.start_span("m").end(outputs=1)
            assert list(st.stream([1])) == [1]
            assert st.inject({}) == {}
            with st.extract({"traceparent": "x"}):
                pass
        assert st.suppress()(test_switched_off_nothing_happens_and_nothing_breaks)
        assert not st.current_span()
        assert st.stats() is not None
    finally:
        default_tracer.off, default_tracer.recorder = before


def test_tool_model_and_chain_are_trace_with_a_type(traces: Captured) -> None:
    """Bare and called."""

    @st.tool
    def a() -> None: ...

    @st.model(name="b2", capture=False)
    def b() -> None: ...

    @st.chain(ignore=("x",))
    def c(x: int) -> None: ...

    with st.session("s"):
        a()
        b()
        c(1)
    assert traces.tree() == "session s\n  tool a\n  model b2\n  chain c"
    assert traces.session.find("c").inputs == {}
