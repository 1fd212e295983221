"""A conversation in an exported page: its turns in order, as the page of the server shows them.

Pure over the turns of ``store.thread``. Invariant: as in ``html_text``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from sessiontrace.cli.render.html_text import HtmlWriter, folded
from sessiontrace.cli.render.html_time import time_html
from sessiontrace.store.thread.turns import Line, Tool, Turn
from sessiontrace.text.format import amount, cost, duration

__all__ = ["thread_html"]

_FOLDED = 1_200  # characters of a system prompt that are not folded


def thread_html(turns: Sequence[Turn], writer: HtmlWriter) -> Iterator[str]:
    """The section with all turns."""
    yield "<section>\n<h2>Conversation</h2>\n"
    for number, turn in enumerate(turns, 1):
        yield from _turn_html(turn, number, writer)
    yield "</section>\n"


def _turn_html(turn: Turn, number: int, writer: HtmlWriter) -> Iterator[str]:
    facts = [duration(turn.duration), amount(turn.steps, "step")]
    if turn.tokens:
        facts.append(amount(turn.tokens, "token"))
    if money := cost(turn.cost, turn.unpriced, turn.tokens):
        facts.append(money)
    facts += [f"{name} {value:g}" for name, value in turn.scores.items()]
    text = escape(" · ".join(facts))
    yield f'<article class="turn"><h3>Turn {number} · {time_html(turn.start_time)} · {text}</h3>\n'
    if turn.omitted:
        yield f'<p class="role">{amount(turn.omitted, "earlier message")} not repeated</p>\n'
    before = [line for line in turn.lines if line.role != "assistant"]
    answers = [line for line in turn.lines if line.role == "assistant"]
    for line in before:
        yield from _line_html(line, writer)
    if turn.tools:
        yield from _tools_html(turn.tools, writer)
    for line in answers:
        yield from _line_html(line, writer)
    if turn.error is not None or turn.errors:
        reason = turn.error or f"{amount(turn.errors, 'step')} failed"
        yield f'<p class="bad">{escape(reason)}</p>\n'
    yield "</article>\n"


def _line_html(line: Line, writer: HtmlWriter) -> Iterator[str]:
    earlier = ", before this session" if line.earlier else ""
    yield f'<div class="message {"user" if line.role == "user" else "other"}">'
    yield f'<p class="role">{escape(line.role)}{earlier}</p>\n'
    if line.reasoning:
        yield folded("reasoning", writer.text(line.reasoning))
    if line.role == "system" and len(line.text) > _FOLDED:
        yield folded(amount(len(line.text), "character"), writer.text(line.text))
    elif line.text:
        yield writer.text(line.text)
    if line.parts:
        yield from map(writer.value, line.parts)
    if line.data is not None:
        yield writer.value(line.data)
    yield "</div>\n"


def _tools_html(tools: Sequence[Tool], writer: HtmlWriter) -> Iterator[str]:
    failures = sum(tool.error is not None for tool in tools)
    title = amount(len(tools), "tool") + (f", {failures:,} failed" if failures else "")
    items = "".join(f"<li>{_tool_html(tool, writer)}</li>\n" for tool in tools)
    yield folded(title, f"<ul>\n{items}</ul>\n")


def _tool_html(tool: Tool, writer: HtmlWriter) -> str:
    took = "" if tool.duration is None else f' <span class="kind">{duration(tool.duration)}</span>'
    failure = "" if tool.error is None else f'<p class="bad">{escape(tool.error)}</p>'
    values = [value for value in (tool.arguments, tool.result) if value is not None]
    return f"{escape(tool.name)}{took}{failure}{''.join(map(writer.value, values))}"
