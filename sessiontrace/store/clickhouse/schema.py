"""The version of the tables in ClickHouse, and how an older set of them becomes a current one.

Called by whoever opens the store, on that thread. Invariant: ``migrations`` holds the number of
each migration that was applied whole; every statement may run again, since ClickHouse has no
transaction to undo a migration that broke off.
"""

from __future__ import annotations

from collections.abc import Sequence

from sessiontrace.model.errors import StoreError
from sessiontrace.store.clickhouse.connection import Connection, Query
from sessiontrace.store.clickhouse.errors import NO_SCHEMA
from sessiontrace.store.clickhouse.tables import TABLES, WORDS
from sessiontrace.store.clickhouse.url import Address

__all__ = ["KEEP_DAYS", "MIGRATIONS", "Migration", "check", "migrate", "pending"]

KEEP_DAYS = 30
"""How long after its arrival a record is kept, unless the migration is told otherwise."""

Migration = Sequence[str]
"""Statements, with places left as in ``tables``."""

MIGRATIONS: Sequence[Migration] = (TABLES,)
"""``MIGRATIONS[n]`` brings version n to version n + 1."""

_LEDGER = (
    "CREATE TABLE IF NOT EXISTS migrations {cluster} (number UInt32, at DateTime DEFAULT now()) "
    "ENGINE = {Replicated}ReplacingMergeTree ORDER BY number"
)


def pending(line: Connection, days: int = KEEP_DAYS) -> list[str]:
    """The statements that a migration would run now, in order; none when all is up to date."""
    version = _version(line)
    address = line.address
    done = 0 if version is None else version
    found: list[str] = []
    if version is None:
        found.append(f"CREATE DATABASE IF NOT EXISTS {address.database}" + _on(address))
        found.append(_filled(_LEDGER, address, days))
    for number in range(done, len(MIGRATIONS)):
        found += [_filled(statement, address, days) for statement in MIGRATIONS[number]]
        found.append(f"INSERT INTO migrations (number) VALUES ({number + 1})")
    return found


def migrate(line: Connection, days: int = KEEP_DAYS) -> list[str]:
    """Bring the tables to the current version; the statements that ran. ``StoreError``."""
    statements = pending(line, days)
    for statement in statements:
        line.run(Query(statement, database=not statement.startswith("CREATE DATABASE")))
    return statements


def check(line: Connection) -> None:
    """``StoreError`` unless the tables are of the current version."""
    version = _version(line)
    if version is None:
        raise StoreError(NO_SCHEMA.format(address=line.address))
    if version < len(MIGRATIONS):
        raise StoreError(
            f"{line.address} is of version {version}, this sessiontrace needs {len(MIGRATIONS)}; "
            "bring it up to date with `sessiontrace store migrate`"
        )


def _version(line: Connection) -> int | None:
    """How many migrations were applied; None where there are no tables at all."""
    tables = Query(
        "SELECT count() FROM system.tables "
        "WHERE database = {database:String} AND name = 'migrations'",
        {"database": line.address.database},
        database=False,
    )
    if not line.query(tables)[0][0]:
        return None
    version = int(line.query(Query("SELECT max(number) FROM migrations"))[0][0])
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{line.address} is of version {version}, this sessiontrace knows up to "
            f"{len(MIGRATIONS)}; upgrade with `pip install -U sessiontrace`"
        )
    return version


def _on(address: Address) -> str:
    return f" ON CLUSTER {address.cluster}" if address.cluster else ""


def _filled(statement: str, address: Address, days: int) -> str:
    """The statement for this server: its cluster, its engines, how long it keeps."""
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
