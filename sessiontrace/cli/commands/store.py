"""``sessiontrace store migrate``: make the tables in ClickHouse, or bring them up to date.

Invariant: with ``--dry-run`` nothing is changed, and what is printed is what would run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sessiontrace.cli import server_store_options
from sessiontrace.model.errors import StoreError

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Do as the arguments say; the exit status."""
    options = _parser().parse_args(arguments)
    from sessiontrace.store.clickhouse import schema
    from sessiontrace.store.clickhouse.connection import Connection
    from sessiontrace.store.clickhouse.url import parse

    try:
        line = Connection(parse(options.store))
        try:
            step = schema.pending if options.dry_run else schema.migrate
            statements = step(line, options.keep_days)
        finally:
            line.close()
    except StoreError as error:
        print(f"sessiontrace store: {error}", file=sys.stderr)
        return 1
    if options.dry_run:
        print("".join(f"{statement};\n\n" for statement in statements), end="")
    count = len(statements)
    done = "would run" if options.dry_run else "ran"
    told = f"{count} statement{'' if count == 1 else 's'} {done}" if count else "is up to date"
    print(f"{line.address}: {told}", file=sys.stderr if options.dry_run else sys.stdout)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sessiontrace store",
        description="The tables of a store in ClickHouse. A file needs none of this: whoever "
        "writes to it makes and migrates it.",
    )
    kinds = parser.add_subparsers(dest="what", required=True)
    migrate = kinds.add_parser("migrate", help="make the tables, or bring them up to date")
    migrate.add_argument(
        "--store",
        metavar="URL",
        required=True,
        help="clickhouse://user@host/database; ?cluster=NAME for tables that are replicated on it; "
        "the password in SESSIONTRACE_CLICKHOUSE_PASSWORD",
    )
    migrate.add_argument("--dry-run", action="store_true", help="print the statements, run none")
    migrate.add_argument(
        "--keep-days",
        metavar="N",
        type=server_store_options.amount,
        default=30,
        help="when the tables are made: delete what arrived so long ago, 0: never (%(default)s)",
    )
    return parser
