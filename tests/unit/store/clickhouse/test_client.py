"""The client library of the ClickHouse store: each version from the lowest has what is called."""

from __future__ import annotations

import inspect

import pytest

from sessiontrace.model.errors import StoreBusyError
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.url import parse

asyncclient = pytest.importorskip("clickhouse_connect.driver.asyncclient")

CALLS = {
    "raw_query": {"settings": {}, "fmt": "JSONCompactColumns", "use_database": True},
    "raw_insert": {"settings": {}, "fmt": "JSONColumns"},
    "command": {"use_database": True},
}


def test_the_options_of_the_connection_are_known_to_the_client() -> None:
    """A port on which nothing listens: the client gets as far as dialling it."""
    connection = Connection(parse("clickhouse://127.0.0.1:9/traces"))
    with pytest.raises(StoreBusyError, match=r"does not answer \(OperationalError\)"):
        connection.run(Query("SELECT 1"))
    connection.close()


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_of_the_store_are_known_to_the_client(name: str) -> None:
    """A renamed parameter would be a TypeError at the first request, which asks to try again."""
    signature = inspect.signature(getattr(asyncclient.AsyncClient, name))
    signature.bind(object(), "statement", {}, **CALLS[name])
