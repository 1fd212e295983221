"""The documents that a retrieval returned, whatever the library calls their fields.

Pure functions, no thread owns them. Invariant: for any result these return documents, or none where
an entry is not a document, and never raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from sessiontrace.model import payload

__all__ = ["Document", "convention_form", "documents_of"]

_LISTS = ("documents", "result", "results", "nodes", "source_nodes", "matches", "hits", "chunks")
_CONTENTS = ("content", "page_content", "text", "passage", "document")
_IDS = ("id", "id_", "document_id", "doc_id", "chunk_id", "node_id")
_SCORES = ("score", "relevance_score", "similarity")
_METADATA = ("metadata", "meta")
_NESTED = ("node", "document")
_DEPTH = 3


class Document(NamedTuple):
    """One document; None for what it does not say."""

    content: str | None
    identifier: str | None
    score: float | None
    metadata: dict[str, Any] | None


def documents_of(result: bytes) -> list[Document]:
    """The documents in an encoded result: a list of them, alone or under a usual name."""
    value, depth = orjson.loads(result), 0
    while isinstance(value, dict) and depth < _DEPTH:
        value, depth = next((value[name] for name in _LISTS if name in value), None), depth + 1
    if not isinstance(value, list):
        return []
    documents = [_document(entry) for entry in value]
    complete = [document for document in documents if document is not None]
    return complete if len(complete) == len(documents) else []


def convention_form(documents: list[Document]) -> bytes | None:
    """``gen_ai.retrieval.documents``; None where a document lacks the id or score it must have."""
    entries = []
    for document in documents:
        if document.identifier is None or document.score is None:
            return None
        entry = {"id": document.identifier, "score": document.score}
        beside = {"content": document.content, "metadata": document.metadata}
        entries.append({**entry, **{name: value for name, value in beside.items() if value}})
    return orjson.dumps(entries) if entries else None


def _document(entry: Any) -> Document | None:
    """An entry: a text, an object, or a pair of a document and its score."""
    if isinstance(entry, str):
        return Document(entry, None, None, None)
    if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], (dict, str)):
        document, score = _document(entry[0]), payload.number(entry[1])
        return None if document is None else document._replace(score=score)
    if not isinstance(entry, dict):
        return None
    layers = [entry, *(entry[name] for name in _NESTED if isinstance(entry.get(name), dict))]
    content = next(_values(layers, _CONTENTS, str), None)
    identifier = next(_values(layers, _IDS, (str, int)), None)
    if content is None and identifier is None:
        return None
    score = next(_values(layers, _SCORES, (int, float)), None)
    return Document(
        content,
        None if identifier is None else str(identifier),
        None if score is None else float(score),
        next(_values(layers, _METADATA, dict), None) or None,
    )


def _values(layers: list[dict[str, Any]], names: tuple[str, ...], kinds: Any) -> Iterator[Any]:
    for layer in layers:
        for name in names:
            value = layer.get(name)
            if isinstance(value, kinds) and not isinstance(value, bool):
                yield value
