"""qdrant-client: each search is a retriever event, each use of a local model an embedding below it.

    method of a client                            event
    --------------------------------------------  ------------------------------------------------
    query_points, query_points_groups,            a retriever with the text, the point or the
    query_batch_points; before version 1.17       sizes of vectors, and the points
    search, recommend, discover, query
    ``Embedder.embed``                            an embedding, by fastembed
    retrieve, scroll, upsert, ...                 none: nothing is searched for

Runs in the thread or task of the call; a client in memory, over HTTP or gRPC. Invariant: no number
of a vector is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from sessiontrace.instrumentation.core.response_fields import get_field, plain, without_none
from sessiontrace.instrumentation.core.searches import (
    SearchArgs,
    SearchMethods,
    document,
    one_or_all,
    read_vectors,
    vector_size,
)

_EXAMPLES = ("positive", "negative")
_TEXTS = ("document", "text", "content", "page_content", "chunk")


class Qdrant:
    """The instrumentor of qdrant-client."""

    def __init__(self) -> None:
        self._searches = SearchMethods("qdrant")
        self._embeddings = ModelMethods("fastembed")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the searches of the module's client."""
        require_one(module, "QdrantClient", "AsyncQdrantClient", "Embedder")
        self._searches.start(calls)
        self._embeddings.start(calls)
        for name in ("QdrantClient", "AsyncQdrantClient"):
            if (owner := vars(module).get(name)) is not None:
                self._install(owner)
        if (embedder := vars(module).get("Embedder")) is not None:
            adapter = MethodAdapter(_read_embedding, read_vectors)
            self._embeddings.patch(embedder, "embed", adapter)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._searches.stop()
        self._embeddings.stop()

    def _install(self, client: Any) -> None:
        for name in ("query_points", "search", "recommend", "discover"):
            self._searches.patch(client, name, _read_query, _points)
        self._searches.patch(client, "query_points_groups", _read_query, _groups)
        self._searches.patch(client, "query_batch_points", _read_batch, _batches)
        for owner in client.__mro__:
            self._searches.patch(owner, "query", _read_query, _points)


ENTRY = Entry(
    name="qdrant-client",
    target="qdrant_client.qdrant_client",
    make=Qdrant,
    also=("qdrant_client.async_qdrant_client", "qdrant_client.embed.embedder"),
)


def _read_query(client: Any, arguments: Mapping[str, Any]) -> SearchArgs:
    vector = arguments.get("query_vector", arguments.get("target"))
    query = arguments.get("query", arguments.get("query_text", vector))
    prefetches = arguments.get("prefetch")
    examples = {name: _shaped_field(name, arguments.get(name)) for name in (*_EXAMPLES, "context")}
    inputs = {
        **_query_inputs(query),
        **examples,
        "prefetch": None if prefetches is None else _shaped(prefetches),
        "filter": plain(arguments.get("query_filter")),
    }
    return SearchArgs(arguments.get("collection_name"), inputs, _config(arguments))


def _read_batch(client: Any, arguments: Mapping[str, Any]) -> SearchArgs:
    requests = list(arguments.get("requests") or ())
    inputs = {
        "queries": [
            without_none(
                {
                    **_query_inputs(get_field(request, "query")),
                    "prefetch": _shaped(get_field(request, "prefetch")),
                    "filter": plain(get_field(request, "filter")),
                }
            )
            for request in requests
        ]
    }
    limits = [get_field(request, "limit") or 10 for request in requests]
    top_k = one_or_all(limits) if len(set(limits)) > 1 else next(iter(limits), None)
    config = {"top_k": top_k, "score_type": "similarity"}
    return SearchArgs(arguments.get("collection_name"), inputs, config)


def _config(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "top_k": arguments.get("limit", 10),
        "using": arguments.get("using"),
        "group_by": arguments.get("group_by"),
        "score_threshold": arguments.get("score_threshold"),
        "score_type": "similarity",
    }


def _query_inputs(query: Any) -> dict[str, Any]:
    """The text, or the size of the vector, or the form of a query that has neither at its top."""
    if query is None:
        return {}
    nearest = get_field(query, "nearest")
    inner = query if nearest is None else nearest
    text = get_field(inner, "text")
    if isinstance(inner, tuple) and len(inner) == 2 and isinstance(inner[0], str):
        inner = inner[1]  # a vector with its name
    size = vector_size(get_field(inner, "vector") if hasattr(inner, "vector") else inner)
    if isinstance(text, str):
        return {"query": text}
    return {"query": _shaped(query)} if size is None else {"vector": size}


def _shaped(value: Any) -> Any:
    """A query or prefetch in which each vector is its size."""
    size = vector_size(value)
    if size is not None:
        return size
    if isinstance(value, (list, tuple)):
        return [_shaped(entry) for entry in value]
    fields = plain(value) if hasattr(type(value), "__pydantic_fields__") else value
    if isinstance(fields, dict):
        if fields.keys() == {"indices", "values"}:
            return {"nonzero": len(fields["indices"])}
        return {name: _shaped_field(name, entry) for name, entry in fields.items()}
    return fields if isinstance(fields, (str, int, float, bool, type(None))) else str(fields)


def _shaped_field(name: str, value: Any) -> Any:
    if name in _EXAMPLES and isinstance(value, (list, tuple)):
        return [_shaped(entry) for entry in value]  # ids of points beside vectors
    return value if name == "filter" else _shaped(value)


def _points(result: Any) -> list[dict[str, Any]]:
    points = result if isinstance(result, list) else result.points
    return [_document(point) for point in points]


def _groups(result: Any) -> list[dict[str, Any]]:
    return [_document(point, group=group.id) for group in result.groups for point in group.hits]


def _batches(results: Any) -> list[dict[str, Any]]:
    return [
        _document(point, **({} if len(results) == 1 else {"query": number}))
        for number, response in enumerate(results)
        for point in response.points
    ]


def _document(point: Any, **others: Any) -> dict[str, Any]:
    """A point; its text is where fastembed and the frameworks put it, the payload is the rest."""
    payload = get_field(point, "payload") or get_field(point, "metadata") or {}
    text = get_field(point, "document")
    name = next((name for name in _TEXTS if isinstance(payload.get(name), str)), None)
    if not isinstance(text, str) and name is not None:
        text = payload[name]
        payload = {key: value for key, value in payload.items() if key != name}
    return document(point.id, text or None, get_field(point, "score"), payload, **others)


def _read_embedding(
    embedder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ModelCallArgs | None:
    model, texts, images = [*args, None, None, None][:3]
    model, texts = kwargs.get("model_name", model), kwargs.get("texts", texts)
    if getattr(embedder, "_use_core_bm25", False) and str(model).lower() == "qdrant/bm25":
        return None  # the server counts the words
    images = kwargs.get("images", images)
    value = {"images": len(images)} if texts is None and images else one_or_all(texts)
    return ModelCallArgs("embeddings", model, {"input": value}, {})
