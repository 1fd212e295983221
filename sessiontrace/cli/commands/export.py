"""``sessiontrace export``: one session of the local store as a file, for a ticket or another tool.

Reads only. Invariant: the output is a whole session or there is none, and HTML holds nothing that
a browser would run or fetch.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from sessiontrace.cli.file_output import output_option, write_file
from sessiontrace.cli.render.html_report import page
from sessiontrace.cli.store_options import db_option, project_option, reading_store, url_option
from sessiontrace.model.json_depth import encode
from sessiontrace.model.record import END, EVENT, Record
from sessiontrace.store.models import StoredSession
from sessiontrace.store.protocol import Store
from sessiontrace.store.thread.pages import Position, thread_page
from sessiontrace.store.thread.turns import Turn
from sessiontrace.vendors.shared.session_cache import SessionCache
from sessiontrace.views.session_lookup import find_session, with_records
from sessiontrace.wire.otlp_json import json_items, json_span
from sessiontrace.wire.span_writer import span_of

__all__ = ["command"]


@click.command("export")
@click.argument("session_id", metavar="ID")
@db_option
@url_option
@project_option
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "otlp", "html"]),
    default="json",
    show_default=True,
    help="JSON of the records, OTLP/JSON for a collector, or one HTML page.",
)
@output_option
def command(
    session_id: str,
    db: Path | None,
    url: str | None,
    project: str,
    kind: str,
    output: Path | None,
) -> None:
    """Write one session as JSON, OTLP or HTML.

    ID: the session's id, your application's own id for it, an unambiguous prefix of one of them, or
    "last" for the session that was active last. HTML is one self-contained file, without scripts:
    the judgements, the conversation, all steps with their fields, and up to 16 MiB of stored
    images, sounds and files. In JSON and OTLP these are named by their SHA-256.
    """
    with reading_store(db, url, project) as store:
        stored = find_session(store, session_id)
        content = _FORMATS[kind](store, stored)
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    write_file(output, (content,))


def _json(store: Store, stored: StoredSession) -> bytes:
    return encode(with_records(store, stored), orjson.OPT_INDENT_2) + b"\n"


def _otlp(store: Store, stored: StoredSession) -> bytes:
    """An ``ExportTraceServiceRequest``: ``curl -d @file http://collector:4318/v1/traces``."""
    names = SessionCache()
    times = ("start_time", "end_time", "duration")
    session = {**stored.record, **{name: getattr(stored.summary, name) for name in times}}
    is_conversation = any(event.turn for event in stored.events)  # its turns are its roots
    records = [] if is_conversation else [Record(END, b"*", encode(session))]
    for event in stored.events:
        record = store.event(event.event_id)
        if record is not None and event.turn:
            records.append(Record(END, b"*", encode(_turn(record, stored.summary.user))))
        elif record is not None:
            records.append(Record(EVENT, b"*", encode(record)))
    spans = [span for record in records if (span := span_of(record, names)) is not None]
    return b",".join(json_items((span.origin, json_span(span)) for span in spans)) + b"\n"


def _turn(record: Mapping[str, Any], user: str | None) -> dict[str, Any]:
    """A turn as its end says it; the store shows it as an event below the session."""
    people = {} if user is None else {"user_properties": {"user_id": user}}
    turn = {**people, **record, "event_type": "session"}
    first = {name: turn[name] for name in ("event_id", "session_id")}
    return {**first, **{name: turn[name] for name in turn if name != "parent_id"}}


def _html(store: Store, stored: StoredSession) -> bytes:
    records = {event.event_id: store.event(event.event_id) for event in stored.events}
    judgements = store.judgements(stored.summary.session_id)
    text = page(stored, records, _turns(store, stored), store.medium, judgements)
    return text.encode(errors="replace")


def _turns(store: Store, stored: StoredSession) -> Sequence[Turn]:
    """The turns of a conversation; none of another session."""
    turns: list[Turn] = []
    after: Position | None = None
    while True:
        part = thread_page(store, stored, after)
        if not part.is_conversation:
            return ()
        turns += part.turns
        if part.next is None:
            return turns
        after = part.next


_FORMATS = {"json": _json, "otlp": _otlp, "html": _html}
