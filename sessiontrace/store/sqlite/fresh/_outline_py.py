"""The forms of ``outlines`` and ``touched`` in Python, which are the specification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from sessiontrace.model.json_depth import RECORD_DEPTH_MAX
from sessiontrace.model.record import EVENT, UPDATE, Record
from sessiontrace.store import folding
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.judging.entries import JUDGEMENTS
from sessiontrace.store.judging.history import noted
from sessiontrace.store.sqlite.fresh.event_row import Row

__all__ = ["Touched", "outlines", "touched"]

_STORED = '"stored":true'
_INPUTS = b',"inputs":'
_OUTPUTS = b',"outputs":'


class Touched(NamedTuple):
    """What the records of a batch touch.

    ``event_ids``: of events and turns, in the order of the records. ``session_ids``: of all.
    ``changed``: of sessions with records of their own. ``judging``: the records with judgements.
    ``with_media``: those that may refer to a stored medium.
    """

    event_ids: list[str]
    session_ids: set[str]
    changed: set[str]
    judging: list[DecodedRecord]
    with_media: list[DecodedRecord]


def outlines(
    records: Sequence[Record | DecodedRecord], first: int, now: int, refused: dict[int, str]
) -> list[DecodedRecord | Row]:
    """The legal records, decoded; adds the reasons for the others to ``refused``, by index.

    As ``folding.decode`` does it, but the fields lack inputs and outputs that capture encoded:
    they are JSON, as the checksum of the spool vouches for it. ``first``: the index of the first
    record. ``now``: when late updates have arrived, Unix ms; see ``history.noted``. The compiled
    form gives the rows of plain events in the place of their records, and decodes nothing of them.
    """
    legal: list[DecodedRecord | Row] = []
    for index, record in enumerate(records, first):
        decoded = _outline(record)
        if isinstance(decoded, str):
            refused[index] = decoded
        else:
            legal.append(noted(decoded, now) if decoded.kind == UPDATE else decoded)
    return legal


def _outline(record: Record | DecodedRecord) -> DecodedRecord | str:
    if isinstance(record, DecodedRecord) or record.kind == UPDATE:
        return folding.decode(record)
    head = _head(record.body)
    if head is None:
        return folding.decode(record)
    try:
        text = record.body.decode()
        event = orjson.loads(head)
    except (UnicodeDecodeError, orjson.JSONDecodeError):
        return folding.decode(record)
    return folding.legal(record.kind, event, text)


def _head(body: bytes) -> bytes | None:
    """The fields before encoded inputs and outputs; None where these are not the last fields."""
    if not body.startswith(b'{"') or body.count(b"{") + body.count(b"[") > RECORD_DEPTH_MAX:
        return None
    head, *payloads = body.split(b"\t")
    if len(payloads) == 2:
        first_names: tuple[bytes, ...] = (_INPUTS, _OUTPUTS)
    elif len(payloads) == 4 and payloads[1] == _OUTPUTS:
        first_names = (_INPUTS,)
    else:
        return None
    for name in first_names:
        if payloads[-1] == b"}" and head.endswith(name):
            return head[: -len(name)] + b"}"
    return None


def touched(records: Iterable[DecodedRecord | Row]) -> Touched:
    """What decoded records touch."""
    touch = Touched([], set(), set(), [], [])
    for record in records:
        if not isinstance(record, DecodedRecord):
            touch.event_ids.append(record[0])
            touch.session_ids.add(record[1])
            continue
        event_id, session_id = record.event["event_id"], record.event["session_id"]
        touch.session_ids.add(session_id)
        if record.kind == EVENT or event_id != session_id:
            touch.event_ids.append(event_id)
        else:
            touch.changed.add(session_id)
        if JUDGEMENTS in record.event:
            touch.judging.append(record)
        if _STORED in record.body:
            touch.with_media.append(record)
    return touch
