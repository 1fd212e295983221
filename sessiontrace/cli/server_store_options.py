"""Which store a command is about: the options that name it, and what they mean.

Read by the commands that serve or manage a store. Invariant: a file and a server are never both
named, and nothing is opened here.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sessiontrace.model.errors import StoreError
from sessiontrace.vendors.local.destination import default_store

if TYPE_CHECKING:
    from sessiontrace.store.protocol import Stores

__all__ = ["add_options", "amount", "stores_of"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--db`` and ``--store``."""
    parser.add_argument(
        "--db",
        metavar="PATH",
        help="the store's file (SESSIONTRACE_STORE, else in the user's data directory)",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="a store in ClickHouse instead: clickhouse://user@host/database, its password in "
        "SESSIONTRACE_CLICKHOUSE_PASSWORD",
    )


def stores_of(options: argparse.Namespace) -> Stores:
    """A file or ClickHouse, as the options say; ``StoreError`` for a URL that is none."""
    if options.store is None:
        from sessiontrace.store.sqlite.store import SqliteStores

        return SqliteStores(Path(options.db or default_store()).expanduser().absolute())
    if options.db is not None:
        raise StoreError("--db names a file and --store a server; give one of them")
    from sessiontrace.store.clickhouse.store import ClickHouseStores
    from sessiontrace.store.clickhouse.url import parse

    return ClickHouseStores(parse(options.store))


def amount(text: str) -> int:
    """A whole number that is not negative, as argparse wants it read."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)
