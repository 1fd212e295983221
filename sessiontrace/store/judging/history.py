"""The history of judgements: which score was given when, by whom, and what it replaced.

Pure functions, no thread owns them. A score may be in the record itself, in a late update of the
SDK or of a vendor's client, in a part that names a trace, or be given by hand; all of them become
the same value. Invariant: a score that a later one replaced stays in the history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import orjson

from sessiontrace.model.fields import is_measure
from sessiontrace.model.record import UPDATE
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.gathered import GATHERED, rating_parts
from sessiontrace.store.judging.entries import JUDGEMENTS, NOTED, SCORE

__all__ = ["Judgement", "judgements_of", "noted"]

_FIELDS = ("metrics", "feedback")
_COMMENT = "_comment"


@attrs.frozen
class Judgement:
    """One judgement. ``value`` is None where it takes the ones before it back.

    ``at`` is Unix ms: when it was given or, for ``recorded`` scores, when the step ended.
    ``source``: "hand" for the page, the command line and the API; "update" for a late score of the
    SDK or of a vendor's client; "recorded" for a score in the record itself. ``key``: the name of
    the API key that the judge's request showed.
    """

    id: str
    event_id: str
    kind: str
    name: str
    value: Any
    comment: str | None
    author: str | None
    at: int
    source: str
    key: str | None = None


def noted(record: DecodedRecord, at: int) -> DecodedRecord:
    """A late update with its scores as entries too, so that they outlive the next update.

    ``at``: when it arrived, Unix ms. A repeated update gives the same entries.
    """
    event = record.event
    if record.kind != UPDATE or JUDGEMENTS in event or not any(map(event.get, _FIELDS)):
        return record
    changes = {name: event.get(name) for name in (*_FIELDS, "metadata")}
    digest = hashlib.blake2b(orjson.dumps(changes), digest_size=8).hexdigest()
    entries = {
        f"{digest} {score['name']}": {**_present(score), "kind": SCORE, "at": at, NOTED: True}
        for score in _scores(event)
    }
    if not entries:
        return record
    event = {**event, JUDGEMENTS: entries}
    return DecodedRecord(record.kind, event, orjson.dumps(event).decode())


def _present(score: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in score.items() if value is not None}


def judgements_of(
    event_id: str, body: Mapping[str, Any], patch: Mapping[str, Any]
) -> list[Judgement]:
    """All judgements of an event or session, the first one first.

    ``body``: its record as it arrived. ``patch``: its late updates, merged.
    """
    end = next((at for name in ("end_time", "start_time") if type(at := body.get(name)) is int), 0)
    judgements = [_judgement(event_id, "", score, end, "recorded") for score in _scores(body)]
    entries = patch.get(JUDGEMENTS)
    entries = entries if isinstance(entries, dict) else {}
    names = {entry.get("name") for entry in entries.values() if isinstance(entry, dict)}
    judgements += [  # of a store that kept no history yet
        _judgement(event_id, "", score, end, "update")
        for score in _scores(patch)
        if score["name"] not in names
    ]
    for key, at, changes in rating_parts(patch.get(GATHERED)):
        judgements += [_judgement(event_id, key, score, at, "update") for score in _scores(changes)]
    for key, entry in entries.items():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            source = "update" if entry.get(NOTED) else "hand"
            judgements.append(_judgement(event_id, key, entry, 0, source))
    return sorted(judgements, key=lambda judgement: (judgement.at, judgement.id))


def _judgement(
    event_id: str, key: str, entry: Mapping[str, Any], at: int, source: str
) -> Judgement:
    at = entry["at"] if type(entry.get("at")) is int else at
    return Judgement(
        key or f"{source} {entry['name']}", event_id, str(entry.get("kind") or SCORE),
        entry["name"], entry.get("value"), entry.get("comment"), entry.get("author"), at, source,
        entry.get("key"),
    )  # fmt: skip


def _scores(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The scores among the fields of a record or of an update, each with its comment."""
    metadata = fields.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    feedback = fields.get("feedback")
    feedback = feedback if isinstance(feedback, dict) else {}
    metrics = fields.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    measured = {name: value for name, value in metrics.items() if not is_measure(name)}
    scores = {**measured, **feedback}
    for name, value in scores.items():
        scored = name.removesuffix(_COMMENT)
        if scored != name and scored in scores:
            continue
        if not isinstance(value, (int, float, str, type(None))):
            continue
        details = metadata.get(f"evaluation.{name}")
        details = details if isinstance(details, dict) else {}
        comment = feedback.get(f"{name}{_COMMENT}") or details.get("explanation")
        author = details.get("source")
        yield {
            "name": name,
            "value": value,
            "comment": comment if isinstance(comment, str) else None,
            "author": author if isinstance(author, str) else None,
        }
