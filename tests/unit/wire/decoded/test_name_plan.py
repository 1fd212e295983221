"""How spans are read is remembered by the names of their attributes, within bounds."""

from __future__ import annotations

from typing import Any

from sessiontrace.wire.decoded.name_plan import plan_of
from sessiontrace.wire.received_span import ReceivedSpan
from sessiontrace.wire.span_reader import read_span


def span(attributes: dict[str, Any]) -> ReceivedSpan:
    ids = ("1" * 32, "2" * 16, None)
    return ReceivedSpan(*ids, "chat", 1, 2, attributes, {}, "scope", False, "", [])


def test_spans_with_the_same_names_share_a_plan() -> None:
    """The values differ, the plan is one object, and each span is read as itself."""
    first = {"gen_ai.request.model": "a", "plan": "free"}
    second = {"gen_ai.request.model": "b", "plan": "paid"}
    assert plan_of(first) is plan_of(second)
    fields = [read_span(span(attributes)) for attributes in (first, second)]
    assert [read.config["model"] for read in fields] == ["a", "b"]
    assert [read.metadata["plan"] for read in fields] == ["free", "paid"]


def test_a_conventional_attribute_without_a_value_gives_no_field() -> None:
    """It stays in the metadata under its own name, between those that came before and after it."""
    attributes = {"before": 1, "gen_ai.request.model": None, "llm.model_name": "m", "after": 2}
    read = read_span(span(attributes))
    assert read.config == {"model": "m"}
    assert list(read.metadata) == ["before", "gen_ai.request.model", "after", "otel"]
    assert read.metadata["gen_ai.request.model"] is None


def test_names_of_many_characters_are_not_remembered() -> None:
    """A sender that makes up names fills no memory: an attribute per field of each message."""
    attributes = {f"made.up.{number}": number for number in range(300)}
    assert [name for name, _ in plan_of(attributes).others] == list(attributes)
    assert plan_of(attributes) is not plan_of(attributes)
