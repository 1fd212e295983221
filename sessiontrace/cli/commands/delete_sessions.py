"""``sessiontrace sessions delete``: sessions leave the store to the last byte.

Runs in the main thread. Invariant: nothing is deleted before it was counted and confirmed.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessiontrace.cli.query_options import QueryCommand, filter_options, query_argument, terms_of
from sessiontrace.cli.store_options import (
    db_option,
    name_of,
    project_option,
    reading_store,
    stores_of,
    url_option,
)
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.session_ids import matching_ids
from sessiontrace.text.format import amount, size
from sessiontrace.views.session_lookup import find_session

if TYPE_CHECKING:
    from sessiontrace.store.models import Erased
    from sessiontrace.store.protocol import Store

__all__ = ["command"]

_PAGE = 500


@click.command("delete", cls=QueryCommand)
@query_argument
@filter_options
@click.option(
    "--id", "ids", multiple=True, metavar="ID", help="The session of this id; repeat for more."
)
@click.option("--all", "everything", is_flag=True, help="Every session of the project.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@db_option
@url_option
@project_option
def command(
    query: tuple[str, ...],
    ids: tuple[str, ...],
    everything: bool,
    yes: bool,
    db: Path | None,
    url: str | None,
    project: str,
    **filters: Any,
) -> None:
    """Delete sessions with their steps, texts, media and words in the search index.

    QUERY: as in `sessions list`, which shows what it finds; --user USER finds all sessions of a
    user. A program that still records into a session stores what it records afterwards.
    """
    terms = terms_of(query, filters)
    if sum((bool(terms), bool(ids), everything)) != 1:
        raise click.UsageError("name what to delete: a query, --id or --all, one of them")
    with reading_store(db, url, project) as store:
        if ids:
            chosen = [find_session(store, text).summary.session_id for text in ids]
        else:
            chosen = matching_ids(store, SessionQuery(terms=terms, limit=_PAGE))
    if not chosen:
        click.echo("no sessions match", err=True)
        raise click.exceptions.Exit(1)
    place = name_of(db, url)
    if not yes:
        click.confirm(f"delete {amount(len(chosen), 'session')} from {place}?", abort=True)
    stores = stores_of(db, url)
    with closing(stores), closing(stores.writer(project)) as writer:
        _delete(writer, chosen, place)


def _media(erased: Erased) -> str:
    return f"{amount(erased.media, 'medium', 'media')} ({size(erased.media_bytes)})"


def _delete(store: Store, ids: list[str], place: str) -> None:
    erased = store.erase(ids)
    sessions, steps = amount(erased.sessions, "session"), amount(erased.steps, "step")
    media = f" and {_media(erased)}" if erased.media else ""
    click.echo(f"deleted {sessions} with {steps}{media} from {place}")
    if not erased.complete:
        click.echo(f"their bytes are not all gone: {erased.remains}", err=True)
