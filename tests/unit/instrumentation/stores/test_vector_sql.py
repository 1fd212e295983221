"""Which statements search by vectors, and that no number of a vector is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.instrumentation.stores.vector_sql import (
    documents_of,
    may_be_search,
    read_statement,
)

NEAREST = "SELECT * FROM t ORDER BY e {} LIMIT 5"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM a WHERE to_tsvector(b) @@ to_tsquery('x <-> y')",
        "SELECT * FROM places ORDER BY geom <-> ST_MakePoint(1,2) LIMIT 5",
        "SELECT * FROM t ORDER BY name <-> 'word' LIMIT 3",
        "INSERT INTO x SELECT * FROM t ORDER BY e <=> '[1,2]'",
        "/* <=> */ SELECT 1 -- <=>",
        "SELECT '<=>'",
        "SELECT 1 < 2",
    ],
)
def test_what_is_not_a_search(statement: str) -> None:
    """Operators in texts and comments, of PostGIS and pg_trgm, and in statements that write."""
    assert read_statement(statement, None) is None


@pytest.mark.parametrize(
    ("expression", "parameters", "size"),
    [
        ("<=> $1", ["[0.125,2,3]"], {"size": 3}),
        ("<-> %s", ([0.125, 2.0],), {"size": 2}),
        ("<#> %(v)s", {"v": "{1:0.125,3:4}/5"}, {"size": 5}),
        ("<-> '[0.125, -2e-3]'", None, {"size": 2}),
        ("<=> ARRAY[0.125,2]::vector", None, {"size": 2}),
        ("<+> '{1:0.125,3:4}/5'::sparsevec", None, None),
        ("<~> b'0125'".replace("25", "01"), None, None),
    ],
)
def test_no_number_of_a_vector_is_recorded(expression: str, parameters: Any, size: Any) -> None:
    """In whatever form: a parameter, a literal, an array, sparse or bits."""
    statement = NEAREST.format(expression)
    assert may_be_search(statement)
    search = read_statement(statement, parameters)
    assert search is not None
    assert search.inputs["vector"] == size
    assert "0.125" not in str(search)
    assert "0101" not in str(search)
    assert (search.collection, search.config["top_k"]) == ("t", 5)


def test_a_subquery_is_not_the_filter_and_a_similarity_is_said() -> None:
    """The condition inside of parentheses is part of the vector's expression."""
    search = read_statement(
        "SELECT 1 - (e <=> (SELECT e FROM t WHERE id = 1)) AS similarity FROM t LIMIT 2", None
    )
    assert search is not None
    assert search.inputs["filter"] is None
    assert search.config["score_type"] == "similarity"


def test_rows_are_documents_without_their_vectors() -> None:
    """Ids, texts and scores by the usual names; the other columns are metadata."""
    names = ["uuid", "body", "e", "distance", "year"]
    rows = [(7, "rain", "[0.125,2]", 0.5, 1), (8, None, [0.125, 2.0], 0.75, None)]
    assert documents_of(names, rows) == [
        {"id": 7, "content": "rain", "score": 0.5, "metadata": {"year": 1}},
        {"id": 8, "score": 0.75},
    ]
