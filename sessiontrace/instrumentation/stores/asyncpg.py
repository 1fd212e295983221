"""pgvector through asyncpg: each statement that searches by vectors is a retriever event.

Also what SQLAlchemy sends through asyncpg, as prepared statements; ``vector_sql`` says which
statements count. ``execute`` and cursors, which give no rows at once, are not read.

Runs in the task of the call. Invariant: the program gets the records that asyncpg made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import require_one
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.searches import SearchArgs, SearchMethods, document
from sessiontrace.instrumentation.stores.vector_sql import (
    documents_of,
    may_be_search,
    read_statement,
)


class Asyncpg:
    """The instrumentor of asyncpg's connections and prepared statements."""

    def __init__(self) -> None:
        self._searches = SearchMethods("pgvector")

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the methods that fetch."""
        require_one(module, "Connection", "PreparedStatement")
        self._searches.start(calls)
        if (owner := vars(module).get("Connection")) is not None:
            for name in ("fetch", "fetchrow", "fetchval"):
                self._searches.patch(owner, name, _read_fetch, _records, _may_search)
        if (owner := vars(module).get("PreparedStatement")) is not None:
            for name in ("fetch", "fetchrow", "fetchval"):
                self._searches.patch(
                    owner, name, _read_prepared, _records, _may_be_prepared, is_async=True
                )

    def uninstall(self) -> None:
        """Put the methods back."""
        self._searches.stop()


ENTRY = Entry(
    name="asyncpg",
    target="asyncpg.connection",
    make=Asyncpg,
    serves=("pgvector",),
    also=("asyncpg.prepared_stmt",),
)


def _may_search(args: tuple[Any, ...]) -> bool:
    return len(args) < 2 or may_be_search(args[1])


def _may_be_prepared(args: tuple[Any, ...]) -> bool:
    return may_be_search(args[0].get_query())


def _read_fetch(connection: Any, arguments: Mapping[str, Any]) -> SearchArgs | None:
    statement = arguments.get("query")
    if not isinstance(statement, str):
        return None
    return read_statement(statement, list(arguments.get("args") or ()))


def _read_prepared(prepared: Any, arguments: Mapping[str, Any]) -> SearchArgs | None:
    return read_statement(prepared.get_query(), list(arguments.get("args") or ()))


def _records(result: Any) -> list[dict[str, Any]]:
    """The documents of a list of records, of one, or of one value."""
    records = result if isinstance(result, list) else [] if result is None else [result]
    if records and not hasattr(records[0], "keys"):
        return [document(None, value if isinstance(value, str) else None, None, None)
                for value in records]  # fmt: skip
    names = list(records[0].keys()) if records else []
    return documents_of(names, (record.values() for record in records))
