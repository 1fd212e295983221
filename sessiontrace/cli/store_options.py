"""The options that name a store, and the store that they name.

Invariant: a file and a ClickHouse server are never both named, and nothing is opened or created
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessiontrace.vendors.local.destination import default_store, path_fault

if TYPE_CHECKING:
    from sessiontrace.store.protocol import Store, Stores
    from sessiontrace.store.sqlite.store import SqliteStore

__all__ = [
    "db_option", "name_of", "open_store", "project_option", "reading_store", "stores_of",
    "stores_to_read", "url_option",
]  # fmt: skip

_READ_S = 30.0
_DEFAULT_PROJECT = "default"

db_option: Callable[[Any], Any] = click.option(
    "--db",
    metavar="PATH",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Store file. Default: SESSIONTRACE_STORE, else a file in the user's data directory.",
)

url_option: Callable[[Any], Any] = click.option(
    "--store",
    "url",
    metavar="URL",
    help="ClickHouse store, instead of a file: clickhouse://user@host/database. The password is "
    "read from SESSIONTRACE_CLICKHOUSE_PASSWORD.",
)


def open_store(db: Path | None) -> SqliteStore:
    """The store file ``db``, or the default one, for reading."""
    from sessiontrace.store.sqlite.store import SqliteStore

    return SqliteStore(_path_of(db), read_only=True)


project_option: Callable[[Any], Any] = click.option(
    "--project",
    metavar="NAME",
    default=_DEFAULT_PROJECT,
    show_default=True,
    help="The project whose sessions to read.",
)


@contextmanager
def reading_store(db: Path | None, url: str | None, project: str) -> Iterator[Store]:
    """The store of a project for reading, until the block ends; creates nothing."""
    stores = stores_to_read(db, url, project)
    with closing(stores), closing(stores.reader(project, _READ_S)) as store:
        yield store


def name_of(db: Path | None, url: str | None) -> str:
    """The store's place for people: a path, or a URL without user and password."""
    return str(_path_of(db)) if url is None else stores_of(db, url).name


def stores_to_read(db: Path | None, url: str | None, project: str) -> Stores:
    """The stores in a file or in ClickHouse, for reading alone."""
    from sessiontrace.store.api_keys import is_project

    if not is_project(project):
        raise click.UsageError("--project: use a-z, 0-9, - and _, at most 63 characters")
    if url is not None:
        stores = stores_of(db, url)
        stores.open()
        return stores
    from sessiontrace.store.sqlite.store import SqliteStores

    return SqliteStores(_path_of(db), read_only=True)


def stores_of(db: Path | None, url: str | None) -> Stores:
    """The stores in a file or in ClickHouse; ``StoreError`` for a URL that cannot be used."""
    if url is None:
        from sessiontrace.store.sqlite.store import SqliteStores

        return SqliteStores(_path_of(db))
    if db is not None:
        raise click.UsageError("--db names a file and --store a server: use one of them")
    if "://" not in url:
        raise click.UsageError(
            "--store names a ClickHouse server, as in clickhouse://host/database; --db names a file"
        )
    from sessiontrace.store.clickhouse.store import ClickHouseStores
    from sessiontrace.store.clickhouse.url import parse

    return ClickHouseStores(parse(url))


def _path_of(db: Path | None) -> Path:
    path = (db or default_store()).expanduser().absolute()
    if fault := path_fault(path):
        raise click.UsageError(
            f"the store's path {fault}: name a file (--db), or a ClickHouse server with --store"
        )
    return path
