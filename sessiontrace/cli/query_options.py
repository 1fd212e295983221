"""A query on the command line: as an argument, and as options for its commonest filters.

Runs in the main thread. Invariant: an argument such as ``-status:failed`` is a part of the query,
not an option; a query that cannot be understood is a usage error that marks the place.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.store.query.fields import STATUSES
from sessiontrace.store.query.parser import QuerySyntaxError, parse, term_of
from sessiontrace.store.query.terms import Bound, Term
from sessiontrace.text.format import printable

__all__ = ["QueryCommand", "filter_options", "query_argument", "terms_of"]

F = TypeVar("F", bound=Callable[..., Any])

_EXCLUSION = re.compile(r"-[A-Za-z_][\w.]*(:|[<>=])")


query_argument: Callable[[Any], Any] = click.argument("query", nargs=-1, metavar="[QUERY]...")

_FILTERS = (
    ("user", "USER", "Only sessions of this user."),
    ("name", "NAME", "Only sessions of this name; * is any text."),
    ("tag", "TAG", "Only sessions with this tag."),
    ("model", "MODEL", "Only sessions that called this model; * is any text."),
    ("source", "SOURCE", "Only sessions of this source."),
    ("type", "TYPE", "Only sessions with a step of this type."),
    ("status", "STATUS", f"Only sessions that are {', '.join(dict.fromkeys(STATUSES.values()))}."),
    ("since", "TIME", "Only sessions active since then: 2h, 7d, today, 2026-01-31."),
    ("until", "TIME", "Only sessions last active then or earlier."),
)


def filter_options(command: F) -> F:
    """The options that ``terms_of`` reads, below one another."""
    command = click.option(
        "--min-cost", "min_cost", metavar="DOLLARS", type=click.FloatRange(0),
        help="Only sessions that cost as much or more.",
    )(command)  # fmt: skip
    for name, metavar, summary in reversed(_FILTERS):
        command = click.option(f"--{name}", name, metavar=metavar, help=summary)(command)
    return command


class QueryCommand(RichCommand):
    """A command with a query: takes what excludes, such as ``-tag:vip``, from the options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        excluded = [text for text in args[:end] if _EXCLUSION.match(text)]
        options = [text for text in args[:end] if not _EXCLUSION.match(text)]
        separated = ["--", *excluded, *args[end + 1 :]] if excluded or end < len(args) else []
        return super().parse_args(ctx, options + separated)


def terms_of(query: Sequence[str], filters: dict[str, Any]) -> tuple[Term, ...]:
    """The terms of a query and of ``filter_options``; raises ``click.UsageError``."""
    now = time.time_ns() // 1_000_000
    text = " ".join(query)
    try:
        terms = list(parse(text, now))
    except QuerySyntaxError as error:
        raise click.UsageError(_marked(text, error)) from None
    for name, *_ in _FILTERS:
        value = filters.get(name)
        if value is None:
            continue
        try:
            terms.append(term_of(name, value, now))
        except ValueError as error:
            raise click.UsageError(f"--{name}: {error}") from None
    if filters.get("min_cost") is not None:
        terms.append(Term("cost", bounds=(Bound(">=", filters["min_cost"]),)))
    return tuple(terms)


def _marked(query: str, error: QuerySyntaxError) -> str:
    """The reason, the query with the fault underlined, and a query that would work."""
    if len(query) > 200:
        return str(error)
    before = printable(query[: error.position])
    fault = printable(query[error.position : error.position + error.length]) or " "
    lines = [
        error.reason, f"  {printable(query)}", f"  {' ' * len(before)}{'^' * len(fault)}"
    ]  # fmt: skip
    if error.suggestion is not None:
        lines.append(f"  instead: {printable(error.suggestion)}")
    return "\n".join(lines)
