"""The documents of a retrieval, as libraries return them, in one form for backends."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sessiontrace.wire.retrieval.documents import Document, convention_form, documents_of


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (["rain"], Document("rain", None, None, None)),
        ({"result": [{"id": 7, "content": "rain", "score": 1}]}, Document("rain", "7", 1.0, None)),
        (
            {"documents": [{"page_content": "rain", "metadata": {"page": 3}}]},
            Document("rain", None, None, {"page": 3}),
        ),
        (
            {"nodes": [{"node": {"id_": "n", "text": "rain", "metadata": {}}, "score": 0.5}]},
            Document("rain", "n", 0.5, None),
        ),
        (
            {"result": {"documents": [{"id": "h", "content": "rain", "meta": {"a": 1}}]}},
            Document("rain", "h", None, {"a": 1}),
        ),
        ({"result": [[{"page_content": "rain"}, 0.25]]}, Document("rain", None, 0.25, None)),
        ({"matches": [{"id": "m", "score": 0.5}]}, Document(None, "m", 0.5, None)),
    ],
    ids=["texts", "plain", "langchain", "llama_index", "haystack", "with scores", "vector store"],
)
def test_a_document_in_the_form_of(result: Any, expected: Document) -> None:
    """Each library has names of its own for the same things."""
    assert documents_of(orjson.dumps(result)) == [expected]


@pytest.mark.parametrize(
    "result", [7, None, "text", {}, {"result": 3}, [1], [{"a": 1}], [["rain"]], {"documents": {}}]
)
def test_anything_else_is_no_document(result: Any) -> None:
    """A result that is something else stays a result."""
    assert documents_of(orjson.dumps(result)) == []


def test_the_conventions_want_an_id_and_a_score_of_each() -> None:
    """Without one of them the attribute would break their schema, and Phoenix drops it whole."""
    whole = Document("rain", "a", 0.5, {"page": 3})
    assert orjson.loads(convention_form([whole]) or b"") == [
        {"id": "a", "score": 0.5, "content": "rain", "metadata": {"page": 3}}
    ]
    assert convention_form([whole, whole._replace(score=None)]) is None
    assert convention_form([whole._replace(identifier=None)]) is None
    assert convention_form([]) is None
