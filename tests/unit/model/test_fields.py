"""The table of a record's fields, and the lists derived from it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sessiontrace
from sessiontrace.model import fields
from sessiontrace.model.fields import FIELDS


def test_fields_are_written_in_the_order_of_the_table() -> None:
    """The order is part of the spool's format: ids first, inputs and outputs before the rest."""
    assert (
        *("event_id", "session_id", "parent_id", "event_type", "event_name", "source"),
        *("start_time", "start_nanos", "end_time", "duration", "inputs", "outputs"),
        *("config", "metadata", "metrics", "feedback", "user_properties", "error", "children_ids"),
    ) == fields.EVENT_FIELDS


def test_every_list_is_derived_from_the_table() -> None:
    """What each part of the package reads."""
    assert (
        *("inputs", "outputs", "config", "metadata", "metrics", "feedback", "user_properties"),
    ) == fields.BUCKETS
    assert fields.PAYLOADS == ("inputs", "outputs")
    assert fields.ATTRIBUTES == ("config", "metadata", "metrics", "feedback", "user_properties")
    assert fields.STEP_ATTRIBUTES == ("config", "metadata", "metrics", "feedback")
    assert fields.SCORES == ("metrics", "feedback")
    assert {*fields.BUCKETS, "event_name", "error"} == fields.REDACTED
    assert (
        *("inputs", "outputs", "config", "metrics", "feedback", "user_properties", "metadata"),
    ) == fields.HTML_SECTIONS


def test_places_on_the_exported_page_are_unique() -> None:
    """Two fields in one place would be in an order that nobody chose."""
    places = [field.html for field in FIELDS if field.html]
    assert sorted(places) == list(range(1, len(places) + 1))


def test_what_users_write_is_redacted() -> None:
    """An object that redactors do not read would take secrets to disk."""
    assert set(fields.BUCKETS) <= fields.REDACTED


_ROOT = Path(sessiontrace.__file__).parent
_LISTS = [
    frozenset(names)
    for names in (fields.BUCKETS, fields.ATTRIBUTES, fields.STEP_ATTRIBUTES, fields.EVENT_FIELDS)
]
_OTHERS = {  # lists of what another's API has, which must not follow our table
    "server/apis/honeyhive/mapping.py",
    "vendors/honeyhive/bodies.py",
    "model/fields.py",
}


@pytest.mark.parametrize("names", _LISTS, ids=lambda names: str(len(names)))
def test_no_module_repeats_a_list_of_the_table(names: frozenset[str]) -> None:
    """A new field is to be missed nowhere."""
    copies = [
        str(path.relative_to(_ROOT))
        for path in _ROOT.rglob("*.py")
        if str(path.relative_to(_ROOT)) not in _OTHERS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Tuple, ast.List, ast.Set))
        and names == {item.value for item in node.elts if isinstance(item, ast.Constant)}
    ]
    assert copies == []
