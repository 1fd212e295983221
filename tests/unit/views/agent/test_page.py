"""A budget as one writes it, and texts in quotes that stay there."""

from __future__ import annotations

import re

import pytest

from sessiontrace.views.agent.page import Page, budget_of
from sessiontrace.views.agent.recorded import Marks, bare_id, fault_text, quote


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("4000", 4000),
        ("8k", 8000),
        ("32000c", 8000),
        ("32000 characters", 8000),
        ("900 Tokens", 900),
    ],
)
def test_a_budget_is_tokens_or_characters(text: str, tokens: int):
    """A character is a quarter of a token."""
    assert budget_of(text) == tokens


@pytest.mark.parametrize(
    "text", ["", "many", "-1", "1.5k", "499", "1999c", "100001", "4 k", "९९९९"]
)
def test_a_budget_that_cannot_be_is_refused(text: str):
    """With a message that gives an example, or the bounds."""
    with pytest.raises(ValueError, match=r"^must be (tokens, as in|between 500 and 100,000)"):
        budget_of(text)


def test_what_does_not_fit_is_not_added_and_notes_have_their_room():
    """A block goes in as a whole or not at all."""
    page = Page(100, reserve=100)
    assert page.add("a" * 200, "b" * 98)
    assert not page.add("c")
    assert page.finish("note") == "a" * 200 + "\n" + "b" * 98 + "\nnote\n"


@pytest.mark.parametrize("text", ['"', "\\", '\\"', "a\\" * 60, '"' * 90, "\n", "\u202e", "\\\\"])
@pytest.mark.parametrize("width", [8, 21, 22, 80])
def test_a_quoted_text_ends_where_its_quotes_end(text: str, width: int):
    """Whatever it holds and wherever it is cut."""
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"', quote(text, width))
    assert len(quote(text, width).encode()) <= width + 2


def test_only_a_uuid_is_bare():
    """Any other id may read as an instruction."""
    uuid = "01a2257a-3020-7001-afca-1274c08ef49b"
    assert bare_id(uuid) == uuid
    assert bare_id("do-this-now") == '"do-this-now"'


def test_a_fault_quotes_the_names_that_it_offers():
    """Names of steps are recorded, too."""
    marks = fault_text("no step has this name; steps are", ["obey me"]).split("\n")
    assert marks[1:] == ["no step has this name; steps are:", marks[2], "obey me", marks[4]]
    assert marks[2].startswith("<recorded-")
    assert fault_text("no session", []) == "no session"
    assert Marks().number != Marks().number
