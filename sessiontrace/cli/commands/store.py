"""``sessiontrace store migrate``: create the tables in ClickHouse, or bring them up to date.

Invariant: ``--dry-run`` changes nothing and prints exactly the statements that would run.
"""

from __future__ import annotations

import click

from sessiontrace.text.format import amount

__all__ = ["command"]


@click.group("store")
def command() -> None:
    """Create or migrate the tables of a ClickHouse store.

    A store file needs no migration by hand: programs that write to it create and migrate it.
    """


@command.command("migrate")
@click.option(
    "--store",
    "url",
    metavar="URL",
    required=True,
    help="clickhouse://user@host/database, with ?cluster=NAME for tables that are replicated on "
    "that cluster. The password is read from SESSIONTRACE_CLICKHOUSE_PASSWORD.",
)
@click.option("--dry-run", is_flag=True, help="Print the statements and run none.")
@click.option(
    "--keep-days",
    metavar="N",
    type=click.IntRange(0, 999_999_999),
    default=30,
    show_default=True,
    help="For new tables: delete records N days after their arrival; 0 keeps all.",
)
def migrate(url: str, dry_run: bool, keep_days: int) -> None:
    """Create the tables, or bring them up to date.

    Then makes the roll-ups that are missing, about 2 seconds for a million events. It may be
    stopped there: servers make those of the projects that they write to.
    """
    from sessiontrace.store.clickhouse import schema
    from sessiontrace.store.clickhouse.connection import Connection
    from sessiontrace.store.clickhouse.rollups.filling import fill_all
    from sessiontrace.store.clickhouse.url import parse

    connection = Connection(parse(url))
    try:
        step = schema.pending if dry_run else schema.migrate
        statements = step(connection, keep_days)
        if not dry_run:
            fill_all(connection)
    finally:
        connection.close()
    if dry_run:
        click.echo("".join(f"{statement};\n\n" for statement in statements), nl=False)
    result = "is up to date"
    if statements:
        result = f"{amount(len(statements), 'statement')} {'would run' if dry_run else 'ran'}"
    click.echo(f"{connection.address}: {result}", err=dry_run)
