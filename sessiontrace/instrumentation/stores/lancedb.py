"""lancedb: each search of a table is a retriever event, each call of its function for vectors an
embedding.

    method                                    event
    ----------------------------------------  ----------------------------------------------------
    to_arrow of a query by vector, by text    a retriever with the text, the size of the vector and
    or both, through which to_list,           the rows
    to_pandas and the others go
    to_batches of the same                    a retriever without rows: the program reads these
    compute_query_embeddings_with_retry,      an embedding, to which the SDK of the model's
    compute_source_embeddings_with_retry      provider adds; ``table.search("a text")`` makes it,
                                              so it is before the search, not below it
    a query that only filters                 none: nothing is searched for

Runs in the thread or task of the call. Invariant: no number of a vector is recorded, and the halves
of a hybrid search have no events of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher, require_one
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.searches import (
    PART,
    SearchArgs,
    SearchMethods,
    document,
    model_of,
    one_or_all,
    read_vectors,
    vector_size,
)

_SYNC = ("LanceVectorQueryBuilder", "LanceFtsQueryBuilder", "LanceHybridQueryBuilder")
_ASYNC = ("AsyncVectorQuery", "AsyncFTSQuery", "AsyncHybridQuery")
_HALVES = ("_vector_query", "_fts_query")
_HALF = "sessiontrace_half"
_SCORES = {"_relevance_score": "similarity", "_score": "similarity", "_distance": "distance"}
_TEXTS = ("text", "content", "document", "page_content", "chunk")
_IDS = ("id", "_id", "doc_id", "document_id", "_rowid")


class LanceDB:
    """The instrumentor of lancedb."""

    def __init__(self) -> None:
        self._searches = SearchMethods("lancedb")
        self._embeddings = ModelMethods("lancedb")
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the queries, or the functions for vectors, of the module."""
        require_one(module, *_SYNC, *_ASYNC, "EmbeddingFunction")
        self._searches.start(calls)
        self._embeddings.start(calls)
        for name in (*_SYNC, *_ASYNC):
            if (owner := vars(module).get(name)) is not None:
                self._searches.patch(owner, "to_arrow", _read_query, _rows)
                self._searches.patch(owner, "to_batches", _read_query, _no_rows)
        if (base := vars(module).get("AsyncQueryBase")) is not None:
            self._searches.patch(base, "to_arrow", _read_query, _rows)
        hybrid = vars(module).get("LanceHybridQueryBuilder")
        if "_create_query_builders" in vars(hybrid or object):
            self._patcher.patch(hybrid, "_create_query_builders", _mark_halves)
        if (function := vars(module).get("EmbeddingFunction")) is not None:
            for name in ("query", "source"):
                adapter = MethodAdapter(_read_embedding, read_vectors)
                method = f"compute_{name}_embeddings_with_retry"
                self._embeddings.patch(function, method, adapter)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._searches.stop()
        self._embeddings.stop()
        self._patcher.restore()


ENTRY = Entry(
    name="lancedb", target="lancedb.query", make=LanceDB, also=("lancedb.embeddings.base",)
)


def _mark_halves(original: Any) -> Any:
    """The two searches of a hybrid one run in threads, where nothing says what they belong to."""

    @functools.wraps(original)
    def create_query_builders(builder: Any) -> Any:
        result = original(builder)
        for name in _HALVES:
            if (half := getattr(builder, name, None)) is not None:
                setattr(half, _HALF, True)
        return result

    return create_query_builders


def _read_query(builder: Any, arguments: Mapping[str, Any]) -> SearchArgs | None:
    kind = type(builder).__name__
    if hasattr(builder, _HALF):
        return PART
    if kind not in _SYNC and kind not in _ASYNC:
        return None
    return _read_async(builder) if kind in _ASYNC else _read_sync(builder)


def _read_sync(builder: Any) -> SearchArgs:
    query = getattr(builder, "_query", None)
    text = getattr(builder, "_text", None) or getattr(builder, "_str_query", None) or query
    vector = getattr(builder, "_vector", None)
    inputs = {
        **_text_inputs(text),
        "vector": vector_size(query if vector is None else vector),
        "filter": _text_or_none(getattr(builder, "_where", None)),
    }
    config = {
        "top_k": getattr(builder, "_limit", None) or 10,
        "metric": getattr(builder, "_distance_type", None),
        "score_type": _score_type(type(builder).__name__, getattr(builder, "_reranker", None)),
    }
    return SearchArgs(getattr(getattr(builder, "_table", None), "name", None), inputs, config)


def _read_async(builder: Any) -> SearchArgs:
    kind = type(builder).__name__
    inner: Any = builder._inner
    vector_half = inner.to_vector_query() if kind == "AsyncHybridQuery" else inner
    request = vector_half.to_query_request()
    text = getattr(builder, "_query_string", None)
    if kind != "AsyncVectorQuery":
        half = inner.to_fts_query() if kind == "AsyncHybridQuery" else inner
        text = half.get_query()
    inputs = {
        **_text_inputs(text),
        "vector": vector_size(getattr(request, "query_vector", None)),
        "filter": _text_or_none(getattr(request, "filter", None)),
    }
    config = {
        "top_k": getattr(request, "limit", None) or 10,
        "metric": getattr(request, "distance_type", None),
        "score_type": _score_type(kind, getattr(builder, "_reranker", None)),
    }
    return SearchArgs(getattr(getattr(builder, "_table", None), "name", None), inputs, config)


def _score_type(kind: str, reranker: Any) -> str:
    return "distance" if "Vector" in kind and reranker is None else "similarity"


def _text_inputs(query: Any) -> dict[str, Any]:
    if isinstance(query, str):
        return {"query": query}
    text = getattr(query, "query", None)  # of lancedb's own kinds of queries for texts
    return {"query": text} if isinstance(text, str) else {}


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _no_rows(result: Any) -> None:
    return None


def _rows(table: Any) -> list[dict[str, Any]]:
    rows = table.select(_without_vectors(table)).to_pylist()
    return [_document(row) for row in rows]


def _without_vectors(table: Any) -> list[str]:
    return [
        field.name
        for field in table.schema
        if not str(field.type).startswith(("fixed_size_list", "list<", "large_binary", "binary"))
    ]


def _document(row: dict[str, Any]) -> dict[str, Any]:
    text = next((row.pop(name) for name in _TEXTS if isinstance(row.get(name), str)), None)
    identifier = next((row.pop(name) for name in _IDS if row.get(name) is not None), None)
    score = next((row[name] for name in _SCORES if row.get(name) is not None), None)
    metadata = {name: value for name, value in row.items() if name not in _SCORES}
    return document(identifier, text, score, metadata)


def _read_embedding(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCallArgs:
    texts: Any = args[0] if args else next(iter(kwargs.values()), None)
    if hasattr(texts, "to_pylist"):  # a column of a table
        texts = texts.to_pylist()
    return ModelCallArgs("embeddings", _model_of(function), {"input": one_or_all(texts)}, {})


def _model_of(function: Any) -> str:
    name = getattr(function, "name", None)  # a field with the model's name, in most functions
    return name if isinstance(name, str) and name else model_of(function)
