"""The facts about vendors' APIs: compared with the published documents where they are at hand."""

from __future__ import annotations

from typing import Any

import pytest
from support import facts
from support.facts import FactError
from support.published_contracts import DOCUMENTS, document_of

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("vendor", DOCUMENTS)
def test_the_facts_are_those_of_the_published_document(vendor: str) -> None:
    """Routes, parameters, fields, types, and which objects are closed."""
    document = document_of(vendor)
    if document is None:
        pytest.skip(f"{DOCUMENTS[vendor]} is not beside this checkout")  # expected in CI
    stated = facts.load(vendor)
    assert stated == facts.facts_of(document, list(stated.routes), stated.source)
    assert str(document["info"]["version"]) in stated.source


@pytest.mark.parametrize("vendor", [*DOCUMENTS, "posthog"])
def test_every_type_that_the_facts_name_is_stated(vendor: str) -> None:
    """And none is stated that nothing names."""
    stated = facts.load(vendor)
    names: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, str) and value.startswith("@"):
            names.add(value[1:])
        for item in value.values() if isinstance(value, dict) else ():
            collect(item)
        for item in value if isinstance(value, list) else ():
            collect(item)

    collect([stated.routes, stated.types])
    assert names == set(stated.types)


STATED = facts.Facts(
    "a test",
    {
        "POST /things/{id}": {
            "path": {"id": "uuid"},
            "query": {"page": "integer", "size!": {"integer": {"least": 1, "most": 9}}},
            "body": "@Thing",
            "replies": {"200": "@Thing", "204": None},
        }
    },
    {
        "Thing": {
            "fields": {
                "name!": {"text": {"least": 1}},
                "kind": {"values": ["a", "b"]},
                "tags": {"list": "text", "most": 2},
                "size": {"any of": ["number", "null"]},
                "at": "date-time",
            },
            "others": False,
        }
    },
)
ID = "01890000-0000-7000-8000-00000000beef"


def test_a_legal_request_and_reply_pass() -> None:
    """Every kind of type once."""
    thing = {"name": "x", "kind": "b", "tags": ["t"], "size": None, "at": "2026-01-02T03:04:05Z"}
    STATED.check_request("POST", f"/things/{ID}?size=3&page=1", thing)
    STATED.check_reply("POST", f"/things/{ID}", 200, thing)
    STATED.check_reply("POST", f"/things/{ID}", 204, None)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (f"/other/{ID}?size=1", {"name": "x"}, "there is no POST"),
        ("/things/7?size=1", {"name": "x"}, "is not uuid"),
        (f"/things/{ID}", {"name": "x"}, "parameter size is missing"),
        (f"/things/{ID}?size=10", {"name": "x"}, "is over 9"),
        (f"/things/{ID}?size=1&page=x", {"name": "x"}, "is not integer"),
        (f"/things/{ID}?size=1", None, "is not an object"),
        (f"/things/{ID}?size=1", {}, "name is missing"),
        (f"/things/{ID}?size=1", {"name": ""}, "is under 1"),
        (f"/things/{ID}?size=1", {"name": 7}, "is not text"),
        (f"/things/{ID}?size=1", {"name": "x", "more": 1}, "more is not a field"),
        (f"/things/{ID}?size=1", {"name": "x", "kind": "c"}, "is not among"),
        (f"/things/{ID}?size=1", {"name": "x", "tags": ["a", "b", "c"]}, "is over 2"),
        (f"/things/{ID}?size=1", {"name": "x", "tags": ["a", 1]}, "is not text"),
        (f"/things/{ID}?size=1", {"name": "x", "size": True}, "is not number"),
        (f"/things/{ID}?size=1", {"name": "x", "at": "soon"}, "is not date-time"),
    ],
)
def test_an_illegal_request_is_found(path: str, body: Any, words: str) -> None:
    """One fault each."""
    with pytest.raises(FactError, match=words):
        STATED.check_request("POST", path, body)


def test_an_unknown_reply_is_found() -> None:
    """A status that the facts do not have."""
    with pytest.raises(FactError, match="no reply of status 201"):
        STATED.check_reply("POST", f"/things/{ID}", 201, {})
