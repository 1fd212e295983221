"""``sessiontrace keys``: API keys for a server that others reach: made, listed, taken back.

Invariant: a key is printed once, when it is made, alone on standard output; nothing else that is
printed helps to use or to guess it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from sessiontrace.cli import server_store_options
from sessiontrace.model.errors import StoreError

if TYPE_CHECKING:
    from sessiontrace.store.protocol import Store

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Do as the arguments say; the exit status."""
    options = _parser().parse_args(arguments)
    from sessiontrace.store.models import DEFAULT_PROJECT

    try:
        source = server_store_options.stores_of(options)
        source.open()
        store = source.writer(DEFAULT_PROJECT)
        try:
            {"add": _add, "list": _list, "revoke": _revoke}[options.what](store, options)
        finally:
            store.close()
            source.close()
    except StoreError as error:
        print(f"sessiontrace keys: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sessiontrace keys",
        description="API keys for `sessiontrace serve --keys`; each is bound to one project.",
    )
    kinds = parser.add_subparsers(dest="what", required=True)
    add = kinds.add_parser("add", help="make a key and print it, once")
    add.add_argument("name", help="what the key is for, as in 'checkout service'")
    add.add_argument("--project", default="default", help="whose sessions (%(default)s)")
    add.add_argument(
        "--may",
        choices=("ingest", "read", "both"),
        default="ingest",
        help="send events, read sessions, or both (%(default)s)",
    )
    listing = kinds.add_parser("list", help="the keys that are good; not the keys themselves")
    revoke = kinds.add_parser("revoke", help="take a key back; servers refuse it within seconds")
    revoke.add_argument("which", help="its name, or the beginning of its id")
    for one in (add, listing, revoke):
        server_store_options.add_options(one)
    return parser


def _add(store: Store, options: argparse.Namespace) -> None:
    from sessiontrace.store import api_keys

    made = api_keys.add(store, options.name, options.project, options.may)
    print(made.reveal())
    print("This key is shown only now: keep it where secrets are kept.", file=sys.stderr)


def _list(store: Store, options: argparse.Namespace) -> None:
    from sessiontrace.store import api_keys

    lines = [("ID", "MAY", "PROJECT", "MADE", "NAME")]
    for key in api_keys.listed(store):
        made = datetime.fromtimestamp(key.at / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M")
        lines.append((key.id, key.may, key.project, made, key.name))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).strip()
        )


def _revoke(store: Store, options: argparse.Namespace) -> None:
    from sessiontrace.store import api_keys

    for key in api_keys.revoke(store, options.which):
        print(f"{key.id} ({key.name}) is revoked")
