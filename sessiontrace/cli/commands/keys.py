"""``sessiontrace keys``: the API keys of a server that other machines reach.

Invariant: a key is printed once, when it is created, alone on stdout; nothing else that the
commands print helps to use or to guess it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sessiontrace.cli.store_options import db_option, open_store, stores_of, url_option

if TYPE_CHECKING:
    from sessiontrace.store.protocol import Store

__all__ = ["command"]


@contextmanager
def _key_store(db: Path | None, url: str | None) -> Iterator[Store]:
    """The store of the default project, which holds the keys of all projects."""
    from sessiontrace.store.models import DEFAULT_PROJECT

    stores = stores_of(db, url)
    stores.open()
    store = stores.writer(DEFAULT_PROJECT)
    try:
        yield store
    finally:
        store.close()
        stores.close()


@contextmanager
def _stored_keys(db: Path | None, url: str | None) -> Iterator[Store | None]:
    """The store with the keys, for reading; None where there is no store, and none is made."""
    if url is not None:
        with _key_store(db, url) as store:
            yield store
        return
    file = open_store(db)
    if not file.path.exists():
        yield None
        return
    with closing(file):
        yield file


@click.group("keys")
def command() -> None:
    """Manage the API keys of a server.

    `sessiontrace serve --keys` requires them. A key belongs to one project.
    """


@command.command("add")
@click.argument("name")
@click.option(
    "--project",
    metavar="NAME",
    default="default",
    show_default=True,
    help="The project that the key opens.",
)
@click.option(
    "--may",
    type=click.Choice(["ingest", "read", "both"]),
    default="ingest",
    show_default=True,
    help="Permission: send events, read sessions, or both.",
)
@db_option
@url_option
def add(name: str, project: str, may: str, db: Path | None, url: str | None) -> None:
    """Create a key and print it, once.

    NAME says what the key is for, for example 'checkout service'.
    """
    from sessiontrace.store import api_keys

    with _key_store(db, url) as store:
        key = api_keys.add(store, name, project, may)
    click.echo(key.reveal())
    click.echo("The key is shown only now: keep it where secrets are kept.", err=True)


@command.command("list")
@db_option
@url_option
def list_keys(db: Path | None, url: str | None) -> None:
    """List active keys; the keys themselves are not stored."""
    from sessiontrace.store import api_keys

    with _stored_keys(db, url) as store:
        keys = [] if store is None else api_keys.active(store)
    rows = [("ID", "PERMISSION", "PROJECT", "CREATED", "NAME")]
    rows.extend((key.id, key.may, key.project, key.created(), key.name) for key in keys)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).strip())


@command.command("revoke")
@click.argument("key", metavar="NAME_OR_ID")
@click.option("--project", metavar="NAME", help="Only keys of this project.")
@click.option("--all", "every", is_flag=True, help="Revoke all keys of this name in the project.")
@db_option
@url_option
def revoke(key: str, project: str | None, every: bool, db: Path | None, url: str | None) -> None:
    """Revoke a key; servers refuse it within seconds.

    NAME_OR_ID: the key's name, or a prefix of its id. A name that keys of several projects have
    needs --project. Where several keys of a project have the name, as while a key is being
    replaced, give the id of one of them, or --all.
    """
    from sessiontrace.store import api_keys

    with _stored_keys(db, url) as store:
        if store is None:
            raise click.ClickException("there is no store here, and so no key; --db names another")
    with _key_store(db, url) as store:
        for revoked in api_keys.revoke(store, key, project, every=every):
            click.echo(f"{revoked.id} ({revoked.name}, project {revoked.project}) is revoked")
