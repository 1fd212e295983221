"""Judgements as a late update holds them, and what the latest of them say.

A late update brings judgements in its object ``judgements``: each under a key of its own, so that
the updates of an event merge into all of them, whatever their order. Pure functions, no thread owns
them. Invariant: of the judgements of one kind and name the latest counts, and the others stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs

__all__ = [
    "COMMENT",
    "ENTRIES_MAX",
    "JUDGEMENTS",
    "KINDS",
    "LABEL",
    "NOTED",
    "OMITTED",
    "REVIEW",
    "SCORE",
    "Judged",
    "apply",
    "capped",
    "facets_of_entries",
    "judged_of",
    "latest",
    "texts_of_entries",
]

JUDGEMENTS = "judgements"
SCORE, LABEL, COMMENT, REVIEW = KINDS = ("score", "label", "comment", "review")
NOTED = "noted"
"""Marks a score that arrived as an update of its own field: its entry only keeps the history."""
OMITTED = "omitted"
"""Key of the number of noted entries that an event no longer keeps."""

ENTRIES_MAX = 1_000
"""Judgements by hand that one event or session keeps."""
_NOTED_MAX = 500

Entry = Mapping[str, Any]
Entries = Mapping[str, Any]


@attrs.frozen
class Judged:
    """What reviewers say of a session: labels of it and of its steps, and who reviewed it.

    ``reviewed`` is None for a session that is not reviewed, "" for a reviewer without a name.
    """

    labels: tuple[str, ...] = ()
    reviewed: str | None = None

    def facets(self) -> list[str]:
        """The texts by which a filter finds the session."""
        facets = [_facet(LABEL, label) for label in self.labels]
        if self.reviewed is not None:
            facets += [_facet("reviewed", "yes"), _facet("reviewed", f"by {self.reviewed}")]
        return facets


def _facet(key: str, value: str) -> str:
    facet = f"{key}={value}".casefold()
    return facet if facet.isprintable() else " ".join(facet.split())


def _entries(entries: Any) -> Iterator[tuple[str, Entry]]:
    if isinstance(entries, dict):
        for key, entry in entries.items():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                yield key, entry


def latest(entries: Any) -> dict[tuple[str, str], Entry]:
    """The latest entry of each kind and name."""
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    chosen: dict[tuple[str, str], Entry] = {}
    for key, entry in _entries(entries):
        place = (str(entry.get("kind")), entry["name"])
        rank = (_at(entry), key)
        if place not in newest or rank > newest[place]:
            newest[place], chosen[place] = rank, entry
    return chosen


def _at(entry: Entry) -> int:
    at = entry.get("at")
    return at if type(at) is int else 0


def apply(record: dict[str, Any], entries: Any, rated: Mapping[str, int]) -> None:
    """Put the scores that were given by hand into the fields of a record, in place.

    ``rated``: when (Unix ms) other parts of the record rated it last, by the name of the score.
    """
    for (kind, name), entry in latest(entries).items():
        if kind != SCORE or entry.get(NOTED) or _at(entry) < rated.get(name, 0):
            continue
        value, comment = entry.get("value"), entry.get("comment")
        fields = {"metrics": {}, "feedback": {name: value, f"{name}_comment": comment}}
        for field, changes in fields.items():
            before = record.get(field)
            others = before if isinstance(before, dict) else {}
            merged = {
                key: other for key, other in others.items() if key not in (name, f"{name}_comment")
            }
            merged |= {key: change for key, change in changes.items() if change is not None}
            if merged or others:
                record[field] = merged


def judged_of(of_session: Any, of_steps: Iterable[Any]) -> Judged:
    """What the entries of a session and of its steps say of it."""
    labels: set[str] = set()
    for entries in (of_session, *of_steps):
        labels |= {
            name
            for (kind, name), entry in latest(entries).items()
            if kind == LABEL and entry.get("value")
        }
    review = latest(of_session).get((REVIEW, "reviewed"), {})
    author = review.get("author")
    reviewer = (author if isinstance(author, str) else "") if review.get("value") else None
    return Judged(tuple(sorted(labels)), reviewer)


def facets_of_entries(entries: Any) -> list[str]:
    """The facets that entries may give their session, and one for those that take a mark back."""
    facets: list[str] = []
    for _, entry in _entries(entries):
        if entry.get("kind") not in (LABEL, REVIEW):
            continue
        if not entry.get("value"):
            facets.append("judged=removed")
        elif entry["kind"] == LABEL:
            facets.append(_facet(LABEL, entry["name"]))
        else:
            facets += Judged((), str(entry.get("author") or "")).facets()
    return facets


def texts_of_entries(entries: Any) -> list[str]:
    """The words of reviewers that search finds: comments and labels that were not taken back."""
    texts: list[str] = []
    for (kind, name), entry in latest(entries).items():
        if entry.get(NOTED) or entry.get("value") is None:
            continue
        if kind == LABEL:
            texts.append(name)
        texts += [text for text in (entry["value"], entry.get("comment")) if isinstance(text, str)]
    return texts


def capped(entries: dict[str, Any]) -> dict[str, Any]:
    """The entries, without the oldest noted ones beyond what an event keeps, and their number."""
    if len(entries) <= _NOTED_MAX:
        return entries
    noted = [(_at(entry), key) for key, entry in _entries(entries) if entry.get(NOTED)]
    excess = _keys_of_oldest(noted, len(noted) - _NOTED_MAX)
    if not excess:
        return entries
    remaining = {key: entry for key, entry in entries.items() if key not in excess}
    before = entries.get(OMITTED)
    return {**remaining, OMITTED: (before if type(before) is int else 0) + len(excess)}


def _keys_of_oldest(noted: list[tuple[int, str]], count: int) -> Collection[str]:
    return {key for _, key in sorted(noted)[:count]} if count > 0 else ()
