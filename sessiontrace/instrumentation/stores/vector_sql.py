"""Which SQL statements search by vectors, and what their events show.

    a statement                                         is a search
    --------------------------------------------------  -----------------------------------------
    SELECT or WITH with ``<=>``, ``<+>``, ``<~>``, or    yes
    a function of pgvector such as ``cosine_distance``
    the same with ``<->`` or ``<#>``, which PostGIS     where a vector is in it: a parameter, a
    and pg_trgm have too                                cast or a literal
    any other, also one with the operator in a text     no

Pure functions, used by the instrumentors of drivers. Invariant: no number of a vector is recorded,
and a statement without such an operator costs one search for a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sessiontrace.instrumentation.core.searches import SearchArgs, document, vector_size

__all__ = ["documents_of", "may_be_search", "read_statement"]

_ROWS_MAX = 1_000
_OPERATOR = re.compile(r"<(?:->|=>|#>|\+>|~>|%>)|(?:l1|l2|cosine|hamming|jaccard)_distance\s*\(")
_SHARED = frozenset({"<->", "<#>"})
_SELECT = re.compile(r"[\s(]*(?:select|with)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_TEXTS = re.compile(r"'(?:[^']|'')*'")
_NUMBERS = r"\[\s*-?[\d.]+(?:e[-+]?\d+)?(?:\s*,\s*-?[\d.]+(?:e[-+]?\d+)?)*\s*\]"
_LITERAL = re.compile(rf"'({_NUMBERS})'|array\s*({_NUMBERS})", re.IGNORECASE)
_VECTOR = re.compile(_NUMBERS, re.IGNORECASE)
_SPARSE = re.compile(r"\{(?:\d+:[-\d.e+]+,?)*\}/(\d+)", re.IGNORECASE)
_OTHER_LITERAL = re.compile(r"'\{[\d:.,e+\s-]*\}/(\d+)'|\bb'([01]+)'", re.IGNORECASE)
_SIMILARITY = re.compile(r'\bas\s+"?(?:similarity|score)\b', re.IGNORECASE)
_CAST = re.compile(r"::\s*(?:\w+\.)?(?:half|sparse)?vec(?:tor)?\b|\bas\s+vector\b", re.IGNORECASE)
_TABLE = re.compile(r'\bfrom\s+((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))*)', re.IGNORECASE)
_WHERE = re.compile(
    r"\bwhere\b(.*?)(?=\border\s+by\b|\bgroup\s+by\b|\blimit\b|\bunion\b|$)",
    re.IGNORECASE | re.DOTALL,
)
_LIMIT = re.compile(
    r"\blimit\s+(?:(\d+)|\$(\d+)|%\((\w+)\)s|(%s))|\bfetch\s+first\s+(\d+)", re.IGNORECASE
)
_METRICS = {"<->": "l2", "<=>": "cosine", "<#>": "inner_product", "<+>": "l1", "<~>": "hamming",
            "<%>": "jaccard"}  # fmt: skip
_CONTENTS = ("content", "text", "document", "page_content", "chunk", "body")
_IDS = ("id", "uuid", "doc_id", "document_id", "langchain_id", "node_id", "chunk_id")
_SCORES = ("distance", "dist", "score", "similarity", "?column?")
_VECTOR_TYPES = frozenset({"Vector", "HalfVector", "SparseVector", "Bit", "ndarray"})


def may_be_search(statement: Any) -> bool:
    """Whether it is worth to read a statement: a text or bytes with an operator, or neither."""
    if isinstance(statement, str):
        return ("<" in statement or "_distance" in statement) and bool(_OPERATOR.search(statement))
    return not isinstance(statement, bytes) or b"<" in statement or b"_distance" in statement


def read_statement(statement: str, parameters: Any) -> SearchArgs | None:
    """The search that a statement makes; None where it makes none."""
    text = _COMMENTS.sub(" ", statement)
    bare = _TEXTS.sub("''", text)
    operators = {operator[:3] for operator in _OPERATOR.findall(bare)}
    if not operators or _SELECT.match(bare) is None:
        return None
    values = _values(parameters)
    size = next((size for value in values if (size := _size(value)) is not None), None)
    if (literal := _LITERAL.search(text)) is not None and size is None:
        size = _size(literal[1] or literal[2])
    if size is None and operators <= _SHARED and _CAST.search(bare) is None:
        return None
    table = _TABLE.search(bare)
    redacted = _without_numbers(text)
    inputs = {
        "statement": " ".join(redacted.split()),
        "vector": size,
        "filter": _filter(redacted),
        "parameters": _shown(parameters) or None,
    }
    metric = next((_METRICS[name] for name in sorted(operators) if name in _METRICS), None)
    score_type = "distance" if _SIMILARITY.search(bare) is None else "similarity"
    config = {"top_k": _limit(bare, parameters), "metric": metric, "score_type": score_type}
    return SearchArgs(table[1].replace('"', "") if table else None, inputs, config)


def documents_of(names: list[str], rows: Iterable[Any]) -> list[dict[str, Any]]:
    """The rows of a search, whose columns are ``names``, without their vectors."""
    documents = []
    for row in rows:
        fields = {
            name: value
            for name, value in zip(names, row, strict=False)
            if value is not None and _size(value) is None
        }
        content = _pop(fields, _CONTENTS, str)
        identifier = _pop(fields, _IDS, object)
        score = _pop(fields, _SCORES, float)
        documents.append(document(identifier, content, score, fields))
        if len(documents) == _ROWS_MAX:
            break
    return documents


def _pop(fields: dict[str, Any], names: tuple[str, ...], kind: type) -> Any:
    for name in names:
        if isinstance(fields.get(name), kind) and name in fields:
            return fields.pop(name)
    return None


def _values(parameters: Any) -> list[Any]:
    if isinstance(parameters, Mapping):
        return list(parameters.values())
    return list(parameters) if isinstance(parameters, (list, tuple)) else []


def _size(value: Any) -> dict[str, int] | None:
    """The size of a parameter or field that is a vector, in whatever form pgvector takes it."""
    if isinstance(value, str):
        if value[:1] == "[" and _VECTOR.fullmatch(value.strip()):
            return {"size": value.count(",") + 1}
        sparse = _SPARSE.fullmatch(value) if value[:1] == "{" else None
        return None if sparse is None else {"size": int(sparse[1])}
    if type(value).__name__ in _VECTOR_TYPES:
        dimensions = getattr(value, "dimensions", None)
        if dimensions is not None:
            return {"size": dimensions() if callable(dimensions) else dimensions}
        return vector_size(value.to_list() if hasattr(value, "to_list") else value)
    if isinstance(value, (list, tuple)) and value and _is_float(value[0]):
        return vector_size(value)
    return None


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or getattr(getattr(value, "dtype", None), "kind", "") == "f"


def _shown(parameters: Any) -> Any:
    """The parameters, each vector by its size."""
    if isinstance(parameters, Mapping):
        return {name: _size(value) or value for name, value in parameters.items()}
    if isinstance(parameters, (list, tuple)):
        return [_size(value) or value for value in parameters]
    return None


def _without_numbers(statement: str) -> str:
    def shortened(match: re.Match[str]) -> str:
        numbers = match[1] or match[2]
        return match[0].replace(numbers, f"[{numbers.count(',') + 1} numbers]")

    def shortened_other(match: re.Match[str]) -> str:
        return f"'[{match[1]} numbers]'" if match[1] else f"b'[{len(match[2])} bits]'"

    return _OTHER_LITERAL.sub(shortened_other, _LITERAL.sub(shortened, statement))


def _filter(statement: str) -> str | None:
    """The one condition of a statement; None where there are several, or it is a subquery's."""
    wheres = _WHERE.findall(statement)
    if len(wheres) != 1 or wheres[0].count("(") != wheres[0].count(")"):
        return None
    return " ".join(wheres[0].split())


def _limit(statement: str, parameters: Any) -> Any:
    match = list(_LIMIT.finditer(statement))[-1:]
    if not match:
        return None
    literal, position, name, _, first = match[0].groups()
    if literal or first:
        return int(literal or first)
    if name:
        return parameters.get(name) if isinstance(parameters, Mapping) else None
    values = _values(parameters)
    index = int(position) - 1 if position else statement[: match[0].end()].count("%s") - 1
    value = values[index] if 0 <= index < len(values) else None
    return value if isinstance(value, int) else None
