"""What a notebook draws: small, escaped, and never an exception."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import sessiontrace as st
from sessiontrace import testing
from sessiontrace.instrumentation.registry import InstrumentReport
from sessiontrace.report import DeliveryStats, Report, Stats
from sessiontrace.text.html_tree import ROWS_MAX, TreeRow, html_or_none, table_html, tree_html

ATTACKS = [
    "<script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "\"><svg onload=document.title='ran'>",
    "' onmouseover='document.title=1",
    "</div></table><iframe srcdoc='<script>parent.document.title=1</script>'>",
    "<a href='javascript:document.title=1'>x</a>",
    "&lt;script&gt;",
    "$\\href{javascript:alert(1)}{x}$",
    "\u202e\x1b[31m\x00\ud800",
]
TAGS = {"div", "span", "table", "tr", "th", "td"}


class Reader(HTMLParser):
    """The tags, the attributes and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.styles: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.styles |= {value or "" for _, value in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def drawn(value: Any) -> str:
    """The text of a value as a notebook shows it; nothing but boxes and text is in its HTML."""
    html = value if isinstance(value, str) else value._repr_html_()
    assert html is not None
    assert len(html) < 100_000
    html.encode()
    reader = Reader(html)
    assert reader.tags <= TAGS
    assert reader.names <= {"style"}
    assert not any(re.search(r"url|expression|script|@", style) for style in reader.styles)
    return reader.text


@pytest.mark.parametrize("attack", ATTACKS)
def test_any_text_is_text(attack: str):
    """Wherever a recorded text comes in."""
    row = TreeRow(3, attack, attack, attack)
    assert drawn(tree_html(row, [row, row], 2, attack)).count("✗") == 3
    drawn(table_html(attack, [attack], [[attack, 7, None]]))
    report = Report(
        False,
        1.0,
        Stats(dropped={attack: 3}, destinations={attack: DeliveryStats(last_error=attack)}),
    )
    drawn(report)
    drawn(report.stats)
    drawn(InstrumentReport({attack: attack}, {}, {attack: attack}, {attack: attack}, {}))
    with testing.capture() as traces:
        with st.session(attack) as session:
            with st.span(attack) as span:
                drawn(span)
            drawn(session)
    drawn(session)
    drawn(traces)
    drawn(traces.session)


def test_a_large_tree_is_cut_and_says_so():
    """A notebook is saved with its output."""
    rows = [TreeRow(n, "name " * 1_000, "note " * 1_000, "error " * 1_000) for n in range(500)]
    assert f"… and {500 - ROWS_MAX + 7} more" in drawn(tree_html(rows[0], rows, 7)).replace(
        " steps", ""
    )
    assert "… and 450 rows more" in drawn(table_html("t", ["a"], [[n] for n in range(500)]))


def test_a_fault_leaves_the_plain_text():
    """None is what a notebook takes for "use repr"."""

    def build() -> str:
        raise RuntimeError("no")

    assert html_or_none(build) is None


def test_a_report_says_what_became_of_the_records():
    """Each destination in a line, and what was dropped."""
    stats = Stats(
        accepted=7,
        dropped={"closed": 2},
        destinations={"hh": DeliveryStats(acked=5, pending=2, last_error="401: wrong key")},
    )
    text = drawn(Report(False, 0.5, stats))
    assert text.startswith("NOT complete in 0.50 s: 7 records accepted")
    assert "hh5200" in text
    assert "401: wrong key" in text
    assert "dropped: closed2" in text


def test_a_session_in_a_notebook_is_its_tree(tmp_path: Path):
    """Before it opens, while it is open, and as the local store has it; nothing is created."""
    path = tmp_path / "store.db"
    tracer = st.Tracer(st.Local(path=path), spool=tmp_path / "spool")
    try:
        session = tracer.session("chat <b>")
        assert drawn(session).startswith("chat <b>session · new")
        assert not path.exists()
        with session:
            with tracer.span("plan"), tracer.span("fetch", type="tool") as fetch:
                fetch.set_error("TimeoutError: no")
            assert "session · open" in drawn(session)
        tracer.flush()
        text = drawn(session)
        assert "session · ended" in text
        assert "2 steps" in text
        assert re.search(r"plan.*chain.*fetch.*tool.*✗ TimeoutError: no", text)
        assert drawn(fetch).startswith("fetchtool · ended")
    finally:
        tracer.shutdown()
