"""What was judged of a session and of its steps, as a table of an exported page.

Pure. Invariant: every text of a judgement is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from sessiontrace.cli.render.html_time import time_html
from sessiontrace.store.judging.entries import COMMENT, LABEL, REVIEW, SCORE
from sessiontrace.store.judging.history import Judgement

__all__ = ["judgements_html"]

_HEADS = ("When", "Of", "Judgement", "Comment", "By")


def judgements_html(judgements: Sequence[Judgement], names: Mapping[str, str]) -> Iterator[str]:
    """The table, the first judgement first; nothing without one. ``names``: of the steps, by id."""
    if not judgements:
        return
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    yield f"<section>\n<h2>Judgements</h2>\n<table>\n<tr>{heads}</tr>\n"
    for judgement in judgements:
        cells = (
            time_html(judgement.at) if judgement.at else "",
            escape(names.get(judgement.event_id, "session")),
            escape(_judged(judgement)),
            escape(_comment(judgement)),
            escape(judgement.author or judgement.key or ""),
        )
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
    yield "</table>\n</section>\n"


def _judged(judgement: Judgement) -> str:
    if judgement.kind == SCORE:
        subject = f"{judgement.name} {_text(judgement.value)}".rstrip()
    else:
        subject = {LABEL: f"label {judgement.name}", REVIEW: "reviewed"}.get(
            judgement.kind, judgement.kind
        )
    return f"{subject} taken back" if judgement.value is None else subject


def _comment(judgement: Judgement) -> str:
    texts = [judgement.comment or ""]
    if judgement.kind == COMMENT and isinstance(judgement.value, str):
        texts.insert(0, judgement.value)
    return "\n".join(filter(None, texts))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
