"""Searches in vector stores and databases, each made one retriever event.

    a search is made                          its event
    ----------------------------------------  ---------------------------------------------------
    inside another search of a store          none: that one's methods call each other
    inside an open retriever, such as a       that retriever's, which gets the config it lacks, and
    framework's or the program's own          the documents until it has outputs of its own
    anywhere else                             a retriever event below the current span

The wrappers run inside the calls, on their thread or task. Invariant: a method keeps its kind,
results and exceptions, and no number of a vector is recorded.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.span import Span
from sessiontrace.instrumentation.core.contribution import add_missing
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import Answer, CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import innermost
from sessiontrace.instrumentation.core.response_fields import without_none

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "PART",
    "OpenSearch",
    "SearchArgs",
    "SearchMethods",
    "document",
    "model_of",
    "one_or_all",
    "open_search",
    "read_vectors",
    "vector_size",
]

_NUMBERS = frozenset({int, float})

_open: ContextVar[OpenSearch | None] = ContextVar("sessiontrace.search", default=None)


class SearchArgs(NamedTuple):
    """A search as its arguments describe it.

    ``collection``: where it looks. ``inputs``: ``query`` with the text, ``vector`` with the size,
    ``filter``. ``config``: ``top_k`` and how the store ranks; None for what is not said.
    """

    collection: Any
    inputs: dict[str, Any]
    config: dict[str, Any]


PART = SearchArgs(None, {}, {})
"""What is read from a method that is part of a search, in a thread that does not say so."""

ReadSearch = Callable[[Any, Mapping[str, Any]], "SearchArgs | None"]
ReadDocuments = Callable[[Any], "list[dict[str, Any]] | None"]


class SearchMethods:
    """The methods of one library that search. ``provider``: the store, as events name it."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None

    def start(self, calls: CallRecorder) -> None:
        """Record to ``calls`` from now on."""
        self._calls = calls

    def patch(
        self,
        owner: Any,
        name: str,
        read_search: ReadSearch,
        read_documents: ReadDocuments,
        may_search: Callable[[Any], bool] | None = None,
        *,
        is_async: bool = False,
    ) -> None:
        """Record the calls of ``owner.name``; nothing where this version has no such method.

        ``read_search(self, arguments)`` gives None for a call that is not a search, and ``PART``
        for a part of one. ``may_search``: a quick test of the arguments, where most calls are none.
        ``is_async``: a decorator hides that the method is awaited.
        """

        def wrap(original: Any) -> Any:
            return self._wrap(original, read_search, read_documents, may_search, is_async)

        if name in vars(owner):
            self._patcher.patch(owner, name, wrap)

    def stop(self) -> None:
        """Put the methods back; a wrapper that another tracer has wrapped passes calls through."""
        self._calls = None
        self._patcher.restore()

    def _wrap(
        self,
        original: Any,
        read_search: ReadSearch,
        read_documents: ReadDocuments,
        may_search: Callable[[Any], bool] | None,
        is_async: bool,
    ) -> Any:
        signature = inspect.signature(original)

        @never_raises(None)
        def begin(args: Any, kwargs: Any) -> OpenSearch | None:
            calls = self._calls
            if calls is None or (may_search is not None and not may_search(args)):
                return None
            if is_inside_search() or calls.recorder(in_default_session=False) is None:
                return None
            arguments = signature.bind_partial(*args, **kwargs).arguments
            search = read_search(args[0], arguments)
            if search is PART:
                return OpenSearch(None, None, {})
            return None if search is None else open_search(calls, self._provider, search)

        if is_async or inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def async_method(*args: Any, **kwargs: Any) -> Any:
                search = begin(args, kwargs)
                if search is None:
                    return await original(*args, **kwargs)
                with search:
                    result = await original(*args, **kwargs)
                    search.finish(read_documents, result)
                return result

            return async_method

        @functools.wraps(original)
        def method(*args: Any, **kwargs: Any) -> Any:
            search = begin(args, kwargs)
            if search is None:
                return original(*args, **kwargs)
            with search:
                result = original(*args, **kwargs)
                search.finish(read_documents, result)
            return result

        return method


class OpenSearch:
    """One search that is made: ``with search:`` around the work, ``finish`` with its result."""

    def __init__(self, span: Span | None, outer: Handle | None, config: dict[str, Any]) -> None:
        self._span = span
        self._outer = outer
        self._config = config
        self._token: Token[OpenSearch | None] | None = None

    def __enter__(self) -> Self:
        if self._span is not None:
            self._span.__enter__()
        self._token = _open.set(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        token, self._token = self._token, None
        try:
            if token is not None:
                _open.reset(token)
        except ValueError:  # the coroutine was closed in another context
            pass
        if self._span is not None:
            self._span.__exit__(exc_type, error, tb)

    @property
    def is_open(self) -> bool:
        """Whether its block is being run."""
        return self._token is not None

    @never_raises(None)
    def finish(self, read_documents: ReadDocuments, result: Any) -> None:
        """Record what was found; a result of None documents has none that could be read."""
        documents = read_documents(result)
        outputs = None if documents is None else {"documents": documents}
        if self._span is not None:
            if outputs is not None:
                self._span.set(outputs=outputs)
        elif (outer := self._outer) is not None and outer.state == OPEN:
            if outputs is not None and outer.lacks("outputs"):
                outer.set(outputs=outputs)
            searches = (outer.field_group("metadata") or {}).get("searches", 0)
            count = searches + 1 if isinstance(searches, int) else 1
            outer.merge("metadata", {"searches": count})
            add_missing(outer, self._config, {}, {}, None)


def is_inside_search() -> bool:
    """Whether this context is inside a search that has an event already."""
    search = _open.get()
    return search is not None and search.is_open


def open_search(calls: CallRecorder, provider: str, search: SearchArgs) -> OpenSearch | None:
    """Open the event of a search, or a contribution to the retriever that is open."""
    recorder = calls.recorder()
    if recorder is None or is_inside_search():
        return None
    collection = search.collection
    config = without_none(
        {"type": "retrieval", "provider": provider, "collection": collection, **search.config}
    )
    outer = innermost(recorder)
    if outer is not None and outer.type == "retriever":
        if outer.lacks("inputs"):
            outer.set(inputs=without_none(search.inputs))
        return OpenSearch(None, outer, config)
    name = "retrieval" if collection is None else f"retrieval {collection}"
    span = Span(recorder, name, "retriever", without_none(search.inputs), config)
    return OpenSearch(span, None, config)


def document(id: Any, content: Any, score: Any, metadata: Any, **others: Any) -> dict[str, Any]:
    """One document as events show it, without what is None."""
    identifier = id if id is None or isinstance(id, (str, int)) else str(id)
    number = score if score is None else float(score)
    fields = {"id": identifier, "content": content, "score": number, "metadata": metadata or None}
    return without_none({**fields, **others})


def vector_size(value: Any) -> dict[str, int] | None:
    """The size of a vector, with the count of several; None for what is not one.

    A sparse vector has the count of its entries that are not zero.
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return _size(shape)
    if (indices := getattr(value, "indices", None)) is not None and not callable(indices):
        return {"nonzero": len(indices)}
    if hasattr(value, "to_pylist"):  # an array of Arrow's
        return {"size": len(value)}
    if isinstance(value, (list, tuple)) and value:
        first = value[0]
        if type(first) in _NUMBERS or (hasattr(first, "dtype") and not getattr(first, "shape", ())):
            return {"size": len(value)}
        inner = vector_size(first)
        if inner is not None:
            return inner if len(value) == 1 else {"count": len(value), **inner}
    return None


def _size(shape: tuple[int, ...]) -> dict[str, int]:
    count = 1
    for length in shape[:-1]:
        count *= length
    return {"size": shape[-1]} if count == 1 else {"count": count, "size": shape[-1]}


def one_or_all(values: Any) -> Any:
    """The only one of several values, or all of them; a text is one value."""
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping)):
        several = list(values)
        return several[0] if len(several) == 1 else several
    return values


def model_of(function: Any) -> str:
    """The model of a function for vectors, or the function's own name."""
    for attribute in ("model_name", "_model_name", "model", "_model", "MODEL_NAME"):
        name = getattr(function, attribute, None)
        if isinstance(name, str) and name:
            return name
    return type(function).__name__


def read_vectors(result: Any) -> Answer:
    """How many vectors a function gave, and their size."""
    outputs: dict[str, Any] = {"embeddings": len(result)}
    size = vector_size(result[0]) if len(result) else None
    if size is not None and "size" in size:
        outputs["dimensions"] = size["size"]
    return Answer(outputs, {})
