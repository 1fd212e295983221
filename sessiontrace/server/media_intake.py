"""Media in what a server receives: data URLs and base64 become descriptions, their bytes files.

Runs on the writer thread. Senders other than this SDK put images, sounds and files into their
records as data URLs or base64. Invariants: only what is certainly a medium is taken out of a record
(a data URL, or base64 that begins as a format does); what a store refuses is counted, in its
report of losses, with its reason.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from sessiontrace.capture.encoding.media import MEDIA_MIN, is_media, of_text, waiting_content
from sessiontrace.capture.encoding.media_buffer import BUFFER
from sessiontrace.model.media_types import UNKNOWN
from sessiontrace.model.record import Record
from sessiontrace.server.media_check.media_check import may_hold_media
from sessiontrace.store import folding, loss_reports
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.media.intake import MediaIntake
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["ServerMedia"]

_Record = Record | DecodedRecord


class ServerMedia:
    """The media of one project; ``limits`` None describes media and stores none."""

    def __init__(self, limits: MediaLimits | None) -> None:
        self._refused: Counter[str] = Counter()
        self._reported = 0
        self._id = secrets.token_hex(8)
        self._intake = (
            None
            if limits is None
            else MediaIntake(
                limits, waiting_content, BUFFER.drop, self._count, counts_missing=False
            )
        )

    def store_media(self, store: Store, records: Sequence[_Record]) -> Sequence[_Record]:
        """The records with descriptions in place of their media, which the store has then."""
        return [
            self._without_media(store, record) if may_hold_media(record.body) else record
            for record in records
        ]

    def _without_media(self, store: Store, record: _Record) -> _Record:
        described = _described_record(record) if len(record.body) > MEDIA_MIN else record
        if self._intake is None:
            return described
        return self._intake.store_media(store, [described])[0]

    def loss_report(self) -> Sequence[Document]:
        """The document that reports refused media, where more were refused since the last one."""
        if self._refused.total() == self._reported:
            return ()
        self._reported = self._refused.total()
        return [loss_reports.report(self._id, "sessiontrace serve", os.getpid(), self._refused)]

    def _count(self, reason: str) -> None:
        self._refused[reason] += 1


def _described_record(record: _Record) -> _Record:
    decoded = folding.decode(record)
    if isinstance(decoded, str):  # the store refuses it, and says why
        return record
    decoded = decoded.whole()
    event = _described(decoded.event)
    if event is decoded.event:
        return decoded
    return DecodedRecord(decoded.kind, event, orjson.dumps(event).decode())


def _described(value: Any) -> Any:
    """The value with descriptions in place of media; the same object where there are none."""
    kind = type(value)
    if kind is str:
        if len(value) < MEDIA_MIN or not is_media(value):
            return value
        description = of_text(value)
        is_certain = value.startswith("data:") or description["media_type"] != UNKNOWN
        return description if is_certain else value
    if kind is dict:
        changes = {key: new for key, item in value.items() if (new := _described(item)) is not item}
        return {**value, **changes} if changes else value
    if kind is list:
        items = [_described(item) for item in value]
        return (
            items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        )
    return value
