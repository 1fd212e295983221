"""``sessiontrace sessions judge``: scores, labels, comments and reviews from the command line.

Runs in the main thread. Invariant: all judgements of a call are stored, or none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import orjson

from sessiontrace.cli.store_options import (
    db_option,
    name_of,
    project_option,
    reading_store,
    stores_of,
    url_option,
)
from sessiontrace.model.ids import new_id, now_ns
from sessiontrace.model.record import UPDATE, Record
from sessiontrace.store.judging.entries import (
    COMMENT,
    ENTRIES_MAX,
    JUDGEMENTS,
    LABEL,
    REVIEW,
    SCORE,
)
from sessiontrace.text.format import amount
from sessiontrace.views.session_lookup import find_session
from sessiontrace.views.step_lookup import find_step

__all__ = ["command"]

_NAME_CHARS = 200
_TEXT_CHARS = 10_000
_GREATEST = 1 << 32

Subject = tuple[str, str, Any]
"""Kind, name and value of a judgement; a value of None takes it back."""


@click.command("judge")
@click.argument("session_id", metavar="ID")
@click.option("--step", metavar="STEP", help="Judge this step: its name, number or id.")
@click.option(
    "--score",
    "scores",
    multiple=True,
    metavar="NAME=VALUE",
    help="A number or a text; without a VALUE, takes the score back. Repeat for more.",
)
@click.option("--label", "labels", multiple=True, metavar="NAME", help="Repeat for more.")
@click.option("--no-label", "no_labels", multiple=True, metavar="NAME", help="Take a label back.")
@click.option("--comment", metavar="TEXT", help="A comment; of a score where one is given.")
@click.option("--reviewed/--not-reviewed", default=None, help="Mark the session, or unmark it.")
@click.option("--author", metavar="NAME", help="Who judges.")
@db_option
@url_option
@project_option
def command(
    session_id: str,
    step: str | None,
    scores: tuple[str, ...],
    labels: tuple[str, ...],
    no_labels: tuple[str, ...],
    comment: str | None,
    reviewed: bool | None,
    author: str | None,
    db: Path | None,
    url: str | None,
    project: str,
) -> None:
    """Score, label, comment or review a session, or with --step one of its steps.

    ID: as in `sessions show`. A judgement that replaces another one keeps it in the history, which
    the page and `sessions export` show.
    """
    if step is not None and reviewed is not None:
        raise click.UsageError("--reviewed is of a session; leave --step out")
    subjects = [*map(_score, scores), *((LABEL, _named(name), True) for name in labels)]
    subjects += [(LABEL, _named(name), None) for name in no_labels]
    if reviewed is not None:
        subjects.append((REVIEW, "reviewed", reviewed or None))
    texts = {"comment": _bounded("--comment", comment, _TEXT_CHARS),
             "author": _bounded("--author", author, _NAME_CHARS)}  # fmt: skip
    if texts["comment"] and not scores:
        subjects.append((COMMENT, new_id(), texts.pop("comment")))
    if not subjects:
        raise click.UsageError("say what to judge: --score, --label, --comment or --reviewed")
    with reading_store(db, url, project) as store:
        stored = find_session(store, session_id)
        session = stored.summary.session_id
        event_id = session if step is None else find_step(stored, step).event_id
        count = sum(own.source == "hand" for own in store.judgements(session))
    if count + len(subjects) > ENTRIES_MAX:
        raise click.ClickException(f"it has {count:,} judgements already")
    ids = {"event_id": event_id, "session_id": session}
    body = {**ids, JUDGEMENTS: dict(_entries(subjects, texts))}
    stores = stores_of(db, url)
    with closing(stores), closing(stores.writer(project)) as writer:
        writer.write([Record(UPDATE, b"*", orjson.dumps(body))])
    click.echo(f"stored {amount(len(subjects), 'judgement')} in {name_of(db, url)}", err=True)


def _entries(
    subjects: list[Subject], texts: dict[str, str | None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries, as the page's API writes them."""
    at = now_ns() // 1_000_000
    present = {name: text for name, text in texts.items() if text}
    for kind, name, value in subjects:
        own = {key: text for key, text in present.items() if key == "author" or kind == SCORE}
        yield f"{at:015d} {new_id()}", {"kind": kind, "name": name, "value": value, "at": at, **own}


def _score(text: str) -> Subject:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise click.BadParameter("write NAME=VALUE, as in helpful=0.8", param_hint="--score")
    if not value:
        return SCORE, _named(name), None
    try:
        number = float(value)
    except ValueError:
        return SCORE, _named(name), _bounded("--score", value, _TEXT_CHARS)
    if not -_GREATEST < number < _GREATEST:
        raise click.BadParameter(
            f"must be between -{_GREATEST} and {_GREATEST}", param_hint="--score"
        )
    return SCORE, _named(name), number


def _named(name: str) -> str:
    if not (bounded := _bounded("a name", name, _NAME_CHARS)):
        raise click.UsageError("the name of a score or label is empty")
    return bounded


def _bounded(option: str, text: str | None, most: int) -> str | None:
    if text is not None and len(text) > most:
        raise click.UsageError(f"{option} has more than {most:,} characters")
    return text.strip() if text else None
