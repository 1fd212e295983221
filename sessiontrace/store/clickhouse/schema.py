"""The version of the tables in ClickHouse, and their migration.

Runs on the thread that opens the store. Invariant: the table ``migrations`` holds the number of
each migration that was applied whole; every statement may run again, because ClickHouse has no
transaction to undo a migration that failed halfway.
"""

from __future__ import annotations

from collections.abc import Sequence

from sessiontrace.model.errors import StoreError
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.errors import NO_SCHEMA
from sessiontrace.store.clickhouse.rollups.tables import ROLLUPS
from sessiontrace.store.clickhouse.tables import (
    CALLS,
    EMBEDDINGS,
    FACETS,
    MEDIA,
    TABLES,
    UNPRICED,
    WORDS,
)
from sessiontrace.store.clickhouse.url import Address

__all__ = ["KEEP_DAYS", "MIGRATIONS", "Migration", "check", "days_kept", "migrate", "pending"]

KEEP_DAYS = 30
"""Days after its arrival that a record is kept by default."""

Migration = Sequence[str]
"""Statements with the placeholders of ``tables``."""

MIGRATIONS: Sequence[Migration] = (
    TABLES, UNPRICED, FACETS, EMBEDDINGS, MEDIA, CALLS, ROLLUPS,
)  # fmt: skip
"""``MIGRATIONS[n]`` brings version n to version n + 1."""

_TTL = (
    "SELECT extract(create_table_query, 'toIntervalDay\\\\((\\\\d+)\\\\)') FROM system.tables "
    "WHERE database = currentDatabase() AND name = 'events'"
)
_CREATE_MIGRATIONS = (
    "CREATE TABLE IF NOT EXISTS migrations {cluster} (number UInt32, at DateTime DEFAULT now()) "
    "ENGINE = {Replicated}ReplacingMergeTree ORDER BY number"
)


def days_kept(connection: Connection) -> int:
    """The days of the tables' TTL; 0 where they have none."""
    return int(connection.query(Query(_TTL))[0][0] or 0)


def pending(connection: Connection, days: int = KEEP_DAYS) -> list[str]:
    """The statements that a migration would run now, in order; none when up to date.

    ``days`` is for a new store; new tables of an existing one keep records as long as the others.
    """
    version = _version(connection)
    address = connection.address
    applied = 0 if version is None else version
    if version and applied < len(MIGRATIONS):
        days = days_kept(connection)
    statements: list[str] = []
    if version is None:
        statements.append(f"CREATE DATABASE IF NOT EXISTS {address.database}" + _on(address))
        statements.append(_filled(_CREATE_MIGRATIONS, address, days))
    for number in range(applied, len(MIGRATIONS)):
        statements += [_filled(statement, address, days) for statement in MIGRATIONS[number]]
        statements.append(f"INSERT INTO migrations (number) VALUES ({number + 1})")
    return statements


def migrate(connection: Connection, days: int = KEEP_DAYS) -> list[str]:
    """Bring the tables to the current version; returns the statements that ran."""
    statements = pending(connection, days)
    for statement in statements:
        connection.run(Query(statement, database=not statement.startswith("CREATE DATABASE")))
    return statements


def check(connection: Connection) -> None:
    """Raise ``StoreError`` unless the tables have the current version."""
    version = _version(connection)
    if version is None:
        raise StoreError(NO_SCHEMA.format(address=connection.address))
    if version < len(MIGRATIONS):
        raise StoreError(
            f"{connection.address} has schema version {version}, this sessiontrace needs version "
            f"{len(MIGRATIONS)}; bring it up to date with `sessiontrace store migrate`"
        )


def _version(connection: Connection) -> int | None:
    """How many migrations were applied; None without any table."""
    tables = Query(
        "SELECT count() FROM system.tables "
        "WHERE database = {database:String} AND name = 'migrations'",
        {"database": connection.address.database},
        database=False,
    )
    if not connection.query(tables)[0][0]:
        return None
    version = int(connection.query(Query("SELECT max(number) FROM migrations"))[0][0])
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{connection.address} has schema version {version}, this sessiontrace knows up to "
            f"version {len(MIGRATIONS)}; upgrade with `pip install -U sessiontrace`"
        )
    return version


def _on(address: Address) -> str:
    return f" ON CLUSTER {address.cluster}" if address.cluster else ""


def _filled(statement: str, address: Address, days: int) -> str:
    """The statement for this server: its cluster, its engines, its retention."""
    if not days:
        statement = statement.replace("TTL written + INTERVAL {days} DAY\n", "")
    for name, value in (
        (" {cluster}", _on(address)),
        ("{Replicated}", "Replicated" if address.cluster else ""),
        ("{days}", str(days)),
        ("{words}", WORDS),
    ):
        statement = statement.replace(name, value)
    return statement.strip()
