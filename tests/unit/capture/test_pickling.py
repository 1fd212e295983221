"""Handles in the user's data: copied, deep-copied and pickled like everything around them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

import sessiontrace as st
from sessiontrace.api import default_tracer


@pytest.fixture
def traces() -> Iterator[st.testing.Captured]:
    with st.testing.capture() as traces:
        yield traces


@pytest.mark.usefixtures("traces")
def test_a_copied_handle_is_the_handle() -> None:
    """A graph's state is deep-copied at each step; the span in it is still the open one."""
    with st.session("s") as session, st.span("one") as span, st.suppress() as scope:
        for handle in (session, span, scope, st.Tracer.unconfigured(), default_tracer):
            assert copy.copy(handle) is handle
            assert copy.deepcopy({"state": handle})["state"] is handle


def test_a_pickled_span_is_a_parent_in_the_process_that_loads_it(
    traces: st.testing.Captured,
) -> None:
    """It names the span: work below it belongs to the session, and it has the ids."""
    with st.session("s"), st.span("one") as span:
        pickled = pickle.dumps(span)
    remote = pickle.loads(pickled)
    assert (remote.session_id, remote.event_id) == (span.session_id, span.event_id)
    with remote, st.span("below"):
        pass
    traces.assert_tree(
        """
        session s
          chain one
            chain below
        """
    )


def test_a_pickled_session_decorates_with_all_it_was_given(traces: st.testing.Captured) -> None:
    """User, inputs, metadata and the user's own id are those of the original."""
    session = st.session("chat", session_id="own", user="ada", inputs={"q": [1]}, tags=["a"])
    pickle.loads(pickle.dumps(session))(lambda: None)()
    record = traces.session.record
    assert record["session_id"] == session.session_id
    assert record["inputs"] == {"q": [1]}
    assert record["user_properties"] == {"user_id": "ada"}
    assert record["metadata"]["tags"] == ["a"]


def test_handles_pickle_while_tracing_is_off() -> None:
    """Elsewhere tracing may be off; what was pickled takes the same calls there."""
    with st.testing.capture():
        with st.session("s") as session, st.suppress() as scope:
            pickled = pickle.dumps([session, scope, st.span("new")])
    off = default_tracer.off
    default_tracer.off = True
    try:
        for handle in pickle.loads(pickled):
            with handle as inside:
                inside.set(outputs=1)
        assert copy.deepcopy(st.span("off")) is pickle.loads(pickle.dumps(st.span("off")))
    finally:
        default_tracer.off = off


def test_the_tracer_itself_is_pickled_by_reference() -> None:
    """The default one is that of the process; another one is the same object in its process."""
    own = st.Tracer.unconfigured()
    assert pickle.loads(pickle.dumps(default_tracer)) is default_tracer
    assert pickle.loads(pickle.dumps(st.session)) == st.session
    assert pickle.loads(pickle.dumps(own)) is own


@pytest.mark.usefixtures("traces")
def test_a_copied_stream_is_the_bare_iterator() -> None:
    """As without us: what cannot be copied raises its own error, and nothing recurses."""
    with st.session("s"):
        stream = st.stream(iter([1, 2]))
        assert list(copy.copy(stream)) == [1, 2]
        assert list(pickle.loads(pickle.dumps(stream))) == [1, 2]
        with pytest.raises(TypeError, match="generator"):
            copy.deepcopy(st.stream(number for number in [1]))
        assert list(stream) == [1, 2]
