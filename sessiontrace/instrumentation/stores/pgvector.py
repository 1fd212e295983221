"""pgvector through psycopg: each statement that searches by vectors is a retriever event.

Also what SQLAlchemy, Django and LangChain send through psycopg 3; ``vector_sql`` says which
statements count. The rows are read from the result that the cursor has, by loaders of our own, so
that the program's row factory makes no row twice.

Runs in the thread or task of the call. Invariant: a cursor is left as ``execute`` has left it; one
on the server, and one in a pipeline, has an event without rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import require_one
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.searches import SearchArgs, SearchMethods
from sessiontrace.instrumentation.stores.vector_sql import (
    documents_of,
    may_be_search,
    read_statement,
)

_CURSORS = ("Cursor", "AsyncCursor", "ServerCursor", "AsyncServerCursor")
_ROWS_MAX = 1_000


class Pgvector:
    """The instrumentor of psycopg's cursors."""

    def __init__(self) -> None:
        self._searches = SearchMethods("pgvector")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap ``execute`` of the module's cursors."""
        if module.__name__ == ENTRY.target:
            require_one(module, *_CURSORS)
        self._searches.start(calls)
        for name in _CURSORS:
            if (owner := vars(module).get(name)) is not None:
                self._searches.patch(owner, "execute", _read_execute, _rows, _may_search)

    def uninstall(self) -> None:
        """Put the methods back."""
        self._searches.stop()


ENTRY = Entry(
    name="pgvector",
    target="psycopg.cursor",
    make=Pgvector,
    also=(
        "psycopg.cursor_async",
        "psycopg.server_cursor",
        "psycopg._server_cursor",
        "psycopg._server_cursor_async",
    ),
)


def _may_search(args: tuple[Any, ...]) -> bool:
    return len(args) < 2 or may_be_search(args[1])


def _read_execute(cursor: Any, arguments: Mapping[str, Any]) -> SearchArgs | None:
    statement: Any = arguments.get("query")
    if isinstance(statement, bytes):
        statement = statement.decode(errors="replace")
    elif not isinstance(statement, str) and hasattr(statement, "as_string"):
        statement = statement.as_string(cursor)
    if not isinstance(statement, str) or not may_be_search(statement):
        return None
    return read_statement(statement, arguments.get("params"))


def _rows(cursor: Any) -> list[dict[str, Any]] | None:
    result = cursor.pgresult
    if result is None or "Server" in type(cursor).__name__ or not result.nfields:
        return None
    from psycopg.adapt import Transformer

    loaders = Transformer(cursor)
    loaders.set_pgresult(result)
    names = [column.name for column in cursor.description]
    count = min(result.ntuples, _ROWS_MAX)
    return documents_of(names, loaders.load_rows(0, count, tuple))
