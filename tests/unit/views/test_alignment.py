"""Two sessions lined up: by structure, each step once, and fast."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sessiontrace.store.models import EventSummary
from sessiontrace.views.alignment import Pair, align


def step(name: str, kind: str = "tool", parent: str | None = None, side: str = "") -> EventSummary:
    return EventSummary(
        f"{side}{name}", "s", None if parent is None else f"{side}{parent}", kind, name, 0, 1, 1.0,
        "ended", False, None, 0, 0.0, False,
    )  # fmt: skip


def names(pairs: list[Pair]) -> list[tuple[str | None, str | None]]:
    return [(p.left and p.left.name, p.right and p.right.name) for p in pairs]


def test_a_call_that_is_named_after_its_model_is_the_same_call():
    """The commonest question: the same program with two models."""
    left = [step("plan", "chain"), step("chat gpt-5", "model", "plan"), step("search")]
    right = [step("plan", "chain"), step("chat claude", "model", "plan"), step("search")]
    assert names(align(left, right)) == [
        ("plan", "plan"), ("chat gpt-5", "chat claude"), ("search", "search"),
    ]  # fmt: skip


def test_a_step_that_only_one_run_has_is_alone_in_its_place():
    """A retry pushes nothing behind it out of line."""
    left = [step("a"), step("b"), step("c")]
    right = [step("a"), step("retry"), step("b"), step("c")]
    assert names(align(left, right)) == [("a", "a"), (None, "retry"), ("b", "b"), ("c", "c")]
    assert names(align(right, left)) == [("a", "a"), ("retry", None), ("b", "b"), ("c", "c")]


def test_equal_names_win_over_places_and_equal_subtrees_over_names():
    left = [step("x"), step("y"), step("one", parent="y")]
    right = [step("y", side="0"), step("y", side="1"), step("one", parent="y", side="1")]
    assert names(align(left, right)) == [("x", "y"), ("y", "y"), ("one", "one")]


def test_a_step_below_another_parent_has_moved():
    """A step that is now inside a chain is neither lost nor new."""
    left = [step("search"), step("answer")]
    right = [step("wrap", "chain"), step("search", parent="wrap"), step("answer")]
    pairs = align(left, right)
    assert names(pairs) == [("search", "search"), (None, "wrap"), ("answer", "answer")]
    assert [pair.moved for pair in pairs] == [True, False, False]


def test_two_thousand_steps_have_the_right_counts_and_take_no_time():
    """Names that repeat, as in a loop; a quarter of the steps is new, another is gone."""

    def session(side: str, first: int) -> list[EventSummary]:
        events = []
        for turn in range(first, first + 200):
            root = step(f"turn {turn}", "chain", side=side)
            events += [
                root,
                *(
                    EventSummary(
                        f"{side}{turn}.{at}", "s", root.event_id, kind, name, 0, 1, 1.0, "ended",
                        False, None, 0, 0.0, False,
                    )
                    for at, (kind, name) in enumerate(
                        [("model", f"chat {side}"), ("tool", "fetch"), ("tool", "parse")] * 3
                    )
                ),
            ]  # fmt: skip
        return events

    left, right = session("a", 0), session("b", 0)
    began = time.perf_counter()
    pairs = align(left, right)
    assert time.perf_counter() - began < 5, "it takes 0.1 s on an idle machine"
    assert len(pairs) == 2_000
    assert all(pair.left and pair.right for pair in pairs)
    flat = [[step(f"fetch {side}{at}", side=side) for at in range(2_000)] for side in "ab"]
    flat[1][500] = step("answer", "model", side="b")
    pairs = align(*flat)
    alone = [pair for pair in pairs if not (pair.left and pair.right)]
    assert (len(pairs), len(alone)) == (2_001, 2)


TREES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["tool", "model"]), st.integers(-1, 8)),
    max_size=9,
)


def events_of(tree: list[tuple[str, str, int]], side: str) -> list[EventSummary]:
    """Steps whose parents are any of them, themselves and those behind them too."""
    fields: list[tuple[Any, ...]] = [
        (f"{side}{at}", None if parent < 0 else f"{side}{parent}", kind, name)
        for at, (name, kind, parent) in enumerate(tree)
    ]
    return [
        EventSummary(id_, "s", parent, kind, name, 0, 1, 1.0, "ended", False, None, 0, 0.0, False)
        for id_, parent, kind, name in fields
    ]


@settings(max_examples=60, deadline=None)
@given(TREES, TREES)
def test_every_step_is_in_exactly_one_pair(
    left: list[tuple[str, str, int]], right: list[tuple[str, str, int]]
):
    """Whatever the parents are; a pair is of one type, and a tree with itself is all pairs."""
    sides = events_of(left, "l"), events_of(right, "r")
    pairs = align(*sides)
    assert sorted(p.left.event_id for p in pairs if p.left) == sorted(e.event_id for e in sides[0])
    assert sorted(p.right.event_id for p in pairs if p.right) == sorted(
        e.event_id for e in sides[1]
    )
    assert all(p.left.type == p.right.type for p in pairs if p.left and p.right)
    same = align(sides[0], events_of(left, "r"))
    assert all(p.left and p.right and not p.moved and p.left.name == p.right.name for p in same)
