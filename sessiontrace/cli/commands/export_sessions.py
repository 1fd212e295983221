"""``sessiontrace sessions export``: all sessions that a query finds, as JSON lines.

Reads only. Invariant: a line is a whole session; a fault leaves a file as it was.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sessiontrace.cli.file_output import output_option, write_file
from sessiontrace.cli.query_options import QueryCommand, filter_options, query_argument, terms_of
from sessiontrace.cli.store_options import db_option, project_option, reading_store, url_option
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.protocol import Store
from sessiontrace.store.session_ids import matching_ids
from sessiontrace.text.format import amount
from sessiontrace.views.session_lines import line_of
from sessiontrace.views.session_lookup import find_session

__all__ = ["command"]

_PAGE = 500


@click.command("export", cls=QueryCommand)
@query_argument
@filter_options
@click.option(
    "--id", "ids", multiple=True, metavar="ID", help="The session of this id; repeat for more."
)
@output_option
@db_option
@url_option
@project_option
def command(
    query: tuple[str, ...],
    ids: tuple[str, ...],
    output: Path | None,
    db: Path | None,
    url: str | None,
    project: str,
    **filters: Any,
) -> None:
    """Write sessions as JSON lines: records, steps and judgements, one session on each line.

    QUERY: as in `sessions list`, which shows what it finds; without one, all sessions.
    """
    terms = terms_of(query, filters)
    with reading_store(db, url, project) as store:
        session_ids = [find_session(store, text).summary.session_id for text in ids]
        if terms or not ids:
            session_ids += matching_ids(store, SessionQuery(terms=terms, limit=_PAGE))
        lines = _lines(store, list(dict.fromkeys(session_ids)))
        if output is None:
            sys.stdout.buffer.writelines(lines)
            sys.stdout.buffer.flush()
        else:
            write_file(output, lines)
    click.echo(f"{amount(len(set(session_ids)), 'session')}", err=True)


def _lines(store: Store, session_ids: list[str]) -> Iterator[bytes]:
    for session_id in session_ids:
        line = line_of(store, session_id)
        if line is not None:
            yield line
