"""chromadb: each query of a collection is a retriever event, each call of its function for vectors
an embedding below it.

    method of a collection    event
    ------------------------  -----------------------------------------------------------------
    query, search             a retriever with the texts or the sizes of vectors, and documents
    _embed, _sparse_embed     an embedding, to which the SDK of the model's provider adds; also
                              of the texts that are added
    get, peek, add, ...       none: nothing is searched for

Runs in the thread or task of the call. Invariant: no number of a vector is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import require_one
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.model_methods import (
    MethodAdapter,
    ModelCallArgs,
    ModelMethods,
)
from sessiontrace.instrumentation.core.searches import (
    SearchArgs,
    SearchMethods,
    document,
    model_of,
    one_or_all,
    read_vectors,
    vector_size,
)

_VECTORS_IN = frozenset({"query"})


class Chroma:
    """The instrumentor of chromadb."""

    def __init__(self) -> None:
        self._searches = SearchMethods("chroma")
        self._embeddings = ModelMethods("chroma")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the searches of a module's collection, or what all collections embed with."""
        require_one(module, "Collection", "AsyncCollection")
        self._searches.start(calls)
        self._embeddings.start(calls)
        for name in ("Collection", "AsyncCollection"):
            if (owner := vars(module).get(name)) is not None:
                self._searches.patch(owner, "query", _read_query, _documents)
                self._searches.patch(owner, "search", _read_search, _documents)
        if (common := vars(module).get("CollectionCommon")) is not None:
            adapter = MethodAdapter(_read_embedding, read_vectors)
            for name in ("_embed", "_sparse_embed"):
                if name in vars(common):
                    self._embeddings.patch(common, name, adapter)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._searches.stop()
        self._embeddings.stop()


ENTRY = Entry(
    name="chromadb",
    target="chromadb.api.models.Collection",
    make=Chroma,
    also=("chromadb.api.models.AsyncCollection",),
)


def _read_query(collection: Any, arguments: Mapping[str, Any]) -> SearchArgs:
    vectors = arguments.get("query_embeddings")
    images, ids = arguments.get("query_images"), arguments.get("ids")
    inputs = {
        "query": one_or_all(arguments.get("query_texts")),
        "uris": arguments.get("query_uris"),
        "images": None if images is None else len(images),
        "vector": None if vectors is None else vector_size(vectors),
        "filter": arguments.get("where"),
        "filter_text": arguments.get("where_document"),
        "ids": None if ids is None else len(ids),
    }
    config = {"top_k": arguments.get("n_results", 10), "score_type": "distance"}
    return SearchArgs(collection.name, inputs, config)


def _read_search(collection: Any, arguments: Mapping[str, Any]) -> SearchArgs:
    searches: Any = arguments.get("searches")
    several = searches if isinstance(searches, (list, tuple)) else [searches]
    plans = [_without_numbers(search.to_dict()) for search in several]
    limits = [plan.pop("limit", None) or {} for plan in plans]
    top_k = one_or_all([limit.get("limit") for limit in limits])
    config = {"top_k": top_k, "score_type": "distance"}
    return SearchArgs(collection.name, {"query": one_or_all(plans)}, config)


def _without_numbers(value: Any) -> Any:
    """A plan in which each vector is its size."""
    if isinstance(value, dict):
        return {
            name: (name in _VECTORS_IN and vector_size(entry)) or _without_numbers(entry)
            for name, entry in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_without_numbers(entry) for entry in value]
    return value


def _documents(result: Any) -> list[dict[str, Any]]:
    return list(_rows(result))


def _rows(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    ids = result["ids"]
    for number, row in enumerate(ids):
        columns = [
            _row(result, name, number, len(row))
            for name in ("documents", "distances", "scores", "metadatas")
        ]
        beside = {} if len(ids) == 1 else {"query": number}
        for identifier, content, distance, score, metadata in zip(row, *columns, strict=True):
            ranked = score if distance is None else distance
            yield document(identifier, content, ranked, metadata, **beside)


def _row(result: Mapping[str, Any], name: str, number: int, length: int) -> Any:
    column = result.get(name)
    row = None if column is None else column[number]
    return [None] * length if row is None else row


def _read_embedding(
    collection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ModelCallArgs:
    texts = kwargs.get("input", args[0] if args else None)
    function = kwargs.get("sparse_embedding_function") or _function_of(collection)
    inputs = texts if isinstance(texts, str) else [_text(entry) for entry in texts or ()]
    return ModelCallArgs("embeddings", model_of(function), {"input": one_or_all(inputs)}, {})


def _function_of(collection: Any) -> Any:
    own = getattr(collection, "_embedding_function", None)
    configured = (collection.configuration or {}).get("embedding_function")
    is_default = type(own).__name__ == "DefaultEmbeddingFunction"
    return configured if own is None or (is_default and configured is not None) else own


def _text(entry: Any) -> Any:
    """A text as it is; an image by its shape."""
    return entry if isinstance(entry, str) else vector_size(entry)
