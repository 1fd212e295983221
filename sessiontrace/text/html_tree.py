"""Small trees and tables as HTML for notebooks.

Pure. Invariant: every text is escaped, made printable and cut. The HTML holds no script, link or
image, no attribute with a value from outside, and at most ``ROWS_MAX`` rows of a bounded size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

import attrs

from sessiontrace.text.format import amount, printable

__all__ = ["ROWS_MAX", "TreeRow", "html_or_none", "table_html", "tree_html"]

ROWS_MAX = 50
"""The most rows of a tree or a table."""

_TEXT_MAX = 200
_INDENT_MAX = 12
_STYLES = {
    "name": "font-weight:600",
    "quiet": "opacity:.7;margin-left:.6em",
    "bad": "color:#c22;margin-left:.6em",
}
_BOX = "font:13px/1.5 system-ui,sans-serif;max-width:60em;overflow-wrap:anywhere"
_CELL = "padding:1px 10px 1px 0;text-align:left;vertical-align:top"


@attrs.frozen
class TreeRow:
    """One line of a tree: ``depth`` from 0, a name, quiet notes, and an error or None."""

    depth: int
    name: str
    notes: str = ""
    error: str | None = None


def tree_html(head: TreeRow, rows: Sequence[TreeRow], omitted: int = 0, note: str = "") -> str:
    """A head with rows below it; ``omitted`` counts rows beyond these, ``note`` is a last line."""
    lines = [_line(head, 0)]
    lines += [_line(row, 1 + min(row.depth, _INDENT_MAX)) for row in rows[:ROWS_MAX]]
    omitted += max(0, len(rows) - ROWS_MAX)
    if omitted:
        note = f"… and {amount(omitted, 'step')} more {note}"
    if note:
        lines.append(f'<div style="{_STYLES["quiet"]}">{_text(note)}</div>')
    return f'<div style="{_BOX}">{"".join(lines)}</div>'


def table_html(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A title and a table below it; of a table without rows only the title."""
    table = list(rows)
    body = "".join(_row("td", row) for row in table[:ROWS_MAX])
    head = f'<div style="{_STYLES["name"]}">{_text(title)}</div>'
    if body:
        body = f'<table style="border-collapse:collapse">{_row("th", heads)}{body}</table>'
    if len(table) > ROWS_MAX:
        note = f"… and {amount(len(table) - ROWS_MAX, 'row')} more"
        body += f'<div style="{_STYLES["quiet"]}">{note}</div>'
    return f'<div style="{_BOX}">{head}{body}</div>'


def html_or_none(build: Callable[[], str]) -> str | None:
    """What ``build`` returns; None, and so the plain text in a notebook, where it fails."""
    try:
        return build()
    except Exception:
        return None


def _line(row: TreeRow, level: int) -> str:
    parts = [f'<span style="{_STYLES["name"]}">{_text(row.name)}</span>']
    if row.notes:
        parts.append(f'<span style="{_STYLES["quiet"]}">{_text(row.notes)}</span>')
    if row.error is not None:
        parts.append(f'<span style="{_STYLES["bad"]}">✗ {_text(row.error)}</span>')
    return f'<div style="padding-left:{level * 16}px">{"".join(parts)}</div>'


def _row(tag: str, cells: Sequence[object]) -> str:
    parts = [f'<{tag} style="{_CELL}">{_text(cell)}</{tag}>' for cell in cells]
    return f"<tr>{''.join(parts)}</tr>"


def _text(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return escape(printable(text[: 2 * _TEXT_MAX], _TEXT_MAX))
