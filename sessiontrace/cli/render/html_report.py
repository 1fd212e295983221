"""A stored session as one HTML file: its conversation as a thread, then its steps, all fields.

Pure. Invariant: every recorded text is escaped, there is no script, and the file's own policy
forbids the browser to run or fetch anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from sessiontrace.cli.render.html_judgements import judgements_html
from sessiontrace.cli.render.html_media import MediaWriter
from sessiontrace.cli.render.html_style import DEPTH_MAX, POLICY, STYLE
from sessiontrace.cli.render.html_text import HtmlWriter
from sessiontrace.cli.render.html_thread import thread_html
from sessiontrace.cli.render.html_time import time_html
from sessiontrace.model.fields import HTML_SECTIONS
from sessiontrace.model.step_types import BASES, base_type
from sessiontrace.store.judging.history import Judgement
from sessiontrace.store.models import ENDED, FAILED, EventSummary, SessionSummary, StoredSession
from sessiontrace.store.thread.turns import Turn
from sessiontrace.text.format import amount, cost, duration
from sessiontrace.views.step_tree import steps_with_depth

__all__ = ["page"]


def page(
    stored: StoredSession,
    records: Mapping[str, Mapping[str, Any] | None],
    turns: Sequence[Turn] = (),
    medium: Callable[[str], bytes | None] = lambda digest: None,
    judgements: Sequence[Judgement] = (),
) -> str:
    """The file's text.

    ``records``: the whole records of the steps by id. ``turns``: of the session's thread, where it
    is a conversation. ``medium``: the bytes of a stored picture, sound or file by its SHA-256.
    ``judgements``: of the session and of its steps.
    """
    names = {event.event_id: event.name for event in stored.events}
    judged = "".join(judgements_html(judgements, names))
    writer = HtmlWriter(media=MediaWriter(medium))
    return "".join(_pieces(stored, records, turns, judged, writer))


def _pieces(
    stored: StoredSession,
    records: Mapping[str, Mapping[str, Any] | None],
    turns: Sequence[Turn],
    judged: str,
    writer: HtmlWriter,
) -> Iterator[str]:
    summary = stored.summary
    name = escape(summary.name or "unnamed session")
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header>\n<h1>{name}</h1>\n"
    )
    yield f'<p class="facts">{time_html(summary.start_time)} · {escape(_facts(summary))}</p>\n'
    yield f'<p class="facts">{escape(summary.session_id)}</p>\n'
    if summary.error is not None:
        yield f'<p class="bad">{escape(summary.error)}</p>\n'
    yield f"</header>\n{judged}"
    if turns:
        yield from thread_html(turns, writer)
    content = "".join(_content(stored.record, writer))
    if content:
        yield f"<section>\n<h2>Session</h2>\n{content}</section>\n"
    if stored.events:
        yield from _steps(stored, records, writer)
    yield "</main>\n</body>\n</html>\n"


def _facts(summary: SessionSummary) -> str:
    facts = [duration(summary.duration), summary.outcome, amount(summary.events, "step")]
    if summary.errors:
        facts.append(amount(summary.errors, "error"))
    if summary.tokens:
        facts.append(amount(summary.tokens, "token"))
    if money := cost(summary.cost, summary.unpriced, summary.tokens):
        facts.append(money)
    if summary.user:
        facts.append(f"user {summary.user}")
    facts += [f"{name} {value:g}" for name, value in summary.scores.items()]
    return " · ".join(facts)


def _steps(
    stored: StoredSession,
    records: Mapping[str, Mapping[str, Any] | None],
    writer: HtmlWriter,
) -> Iterator[str]:
    summary = stored.summary
    start = min([summary.start_time, *(event.start_time for event in stored.events)])
    end = max([summary.end_time, *(event.end_time or 0 for event in stored.events)])
    yield "<section>\n<h2>Steps</h2>\n"
    for event, depth in steps_with_depth(stored):
        yield from _step(event, depth, start, max(1, end - start))
        if event.error is not None:
            yield f'<p class="bad">{escape(event.error)}</p>\n'
        yield from _content(records.get(event.event_id) or {}, writer)
        yield "</div></details>\n"
    if stored.omitted:
        yield f"<p>and {amount(stored.omitted, 'step')} more</p>\n"
    yield "</section>\n"


def _step(event: EventSummary, depth: int, start: int, length: int) -> Iterator[str]:
    """The line of a step, and the opening of its content."""
    kind = "turn" if event.turn else event.type
    colour = "turn" if event.turn else base_type(kind)
    colour = colour if colour in ("turn", *BASES) else "chain"
    failed = event.error is not None
    left = (event.start_time - start) / length * 100
    width = max(0.3, ((event.end_time or event.start_time) - event.start_time) / length * 100)
    yield (
        f'<details class="step"><summary><span class="d{min(depth, DEPTH_MAX)}">'
        f'<span class="name{" bad" if failed else ""}">{escape(event.name)}</span>'
        f'<span class="kind">{escape(" · ".join(_step_facts(event, kind)))}</span></span>'
        '<span class="lane">'
        '<svg viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{"bad" if failed else colour}" x="{left:.3f}" y="4" width="{width:.3f}" '
        f'height="8"/></svg></span></summary>\n<div class="in">\n'
    )


def _step_facts(event: EventSummary, kind: str) -> Iterator[str]:
    yield kind
    yield "running" if event.duration is None else duration(event.duration)
    if event.status != ENDED:
        yield event.status
    if event.error is not None:
        yield FAILED
    if event.tokens:
        yield amount(event.tokens, "token")
    if money := cost(event.cost, event.unpriced, event.tokens):
        yield money


def _content(record: Mapping[str, Any], writer: HtmlWriter) -> Iterator[str]:
    for part in HTML_SECTIONS:
        if value := record.get(part):
            yield from writer.section(part, value)
