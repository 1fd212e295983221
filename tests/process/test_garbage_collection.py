"""Spans in finalisers, which a garbage collection may call in the middle of anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.subprocesses import python_of, run

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

SETUP = """
import gc, json, sys, threading
from contextvars import ContextVar
import sessiontrace as st

st.init(st.HoneyHive(api_key="k", base_url="http://127.0.0.1:9"), spool=False, exit_timeout=0.1)
"""

STRESS = (
    SETUP
    + """
for number in range(40):  # what web frameworks put there makes a context a tree
    ContextVar(str(number)).set(object())

class Node:
    def __init__(self):
        self.me = self
    def __del__(self):
        with st.span("from a finaliser"):
            pass

def stream():
    with st.span("inside"):
        yield 1
        yield 2

traced = st.trace(stream)

def litter():
    Node()
    half_read = traced()
    next(half_read)
    circle = {"stream": half_read}
    circle["circle"] = circle

for threshold in (2, 5, 8):
    gc.set_threshold(threshold, 1, 1)
    with st.session("s") as session:
        for number in range(300):
            litter()
            with st.span(f"step {number}") as span:
                litter()
                assert st.current_span() is span
            assert st.current_span() is session
gc.set_threshold(700, 10, 10)
stats = st.stats()
assert not stats.dropped and stats.accepted > 3 * 300
print("lived")
"""
)

SEEN = (
    SETUP
    + """
gc.disable()
seen = {}

class Node:
    def __init__(self):
        self.me = self
    def __del__(self):
        before = st.current_span().name
        with st.span("inner") as inner:
            seen["inner is current"] = st.current_span() is inner
        seen["as before"] = st.current_span().name == before
        def elsewhere():
            with st.span("there") as there:
                seen["another thread"] = st.current_span() is there
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

with st.session("s"), st.span("outer") as outer:
    Node()
    gc.collect()
    seen["outer is current"] = st.current_span() is outer
    with st.span("after") as after:
        seen["after is current"] = st.current_span() is after
print(json.dumps(seen))
"""
)


@pytest.mark.parametrize("version", VERSIONS)
def test_E08_collections_amid_traced_code_never_crash(version: str, tmp_path: Path) -> None:
    """Before 3.12 a collection may begin within ``ContextVar.set``; a finaliser that sets one then
    crashes the interpreter (this program did, each time, on 3.11). Finalisers open spans
    and half-read traced generators are collected while the program opens spans itself.
    """
    done = run(STRESS, tmp_path, python=python_of(version), limit=50)
    assert done.stdout.split() == ["lived"]


@pytest.mark.parametrize("version", VERSIONS)
def test_E08_what_a_finaliser_records_leaves_the_context_alone(
    version: str, tmp_path: Path
) -> None:
    """From 3.12 on a span is the current one in a finaliser, too; before, the one around the
    collection stays it. Other threads feel nothing of it, and neither does what comes after.
    """
    seen = json.loads(run(SEEN, tmp_path, python=python_of(version)).stdout)
    inner = seen.pop("inner is current")
    assert inner == (tuple(map(int, version.split("."))) >= (3, 12))
    assert seen == dict.fromkeys(seen, True)
    assert len(seen) == 4
