"""The parts of an exported page: messages, folded texts, calls of tools, and plain values."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from support.records import T0, event, id_of, session_end, write

from sessiontrace.cli.render.html_report import page
from sessiontrace.cli.render.html_text import HtmlWriter
from sessiontrace.cli.render.html_time import time_html
from sessiontrace.model.ids import new_id
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.text import markdown


def html(name: str, value: Any) -> str:
    return "".join(HtmlWriter().section(name, value))


def test_a_chat_is_messages_and_what_is_beside_it_stays():
    """A long system prompt is folded; roles, reasoning and calls of tools are told apart."""
    chat = [
        {"role": "system", "content": "Be kind. " * 300},
        {"role": "user", "content": "Where is **it**?"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "function": {"name": "find", "arguments": '{"id":7}'}}]},
        {"role": "tool", "tool_call_id": "1", "content": '{"place": "here"}'},
    ]  # fmt: skip
    text = html("inputs", {"chat_history": chat, "temperature": 0.5})
    assert re.findall(r'class="role">(\w+)<', text) == ["system", "user", "assistant", "tool"]
    assert "<summary>2,700 characters</summary>" in text
    assert "<strong>it</strong>" in text
    assert "<summary>calls find</summary>\n<pre>{\n  &quot;id&quot;: 7\n}</pre>" in text
    assert "&quot;temperature&quot;: 0.5" in text


def test_without_a_parser_of_markdown_a_text_is_as_it_is(monkeypatch: pytest.MonkeyPatch):
    """The extra ``cli`` brings one; a text never depends on it."""
    monkeypatch.setattr(markdown, "is_available", lambda: False)
    text = html("outputs", {"role": "assistant", "content": "a **b**\n<i>c</i>"})
    assert '<p class="plain">a **b**\n&lt;i&gt;c&lt;/i&gt;</p>' in text


def test_a_page_reads_so_much_markdown_and_shows_the_others_as_texts():
    """Two thousand long answers take no minutes."""
    writer = HtmlWriter(markdown_left=12)
    texts = [writer.text(text) for text in ("**one**", "**two**", "*3*")]
    assert ["<strong>" in texts[0], "**two**" in texts[1], "<em>" in texts[2]] == [True] * 3


@pytest.mark.parametrize(
    "value",
    [{"n": 1}, {"text": "short"}, ["a", 1], {"a": {"b": [None, 1.5]}}, {"1": "x"}, "only a text"],
)
def test_any_other_value_is_complete(value: Any):
    """As JSON, or as its text."""
    text = html("metadata", value)
    words = re.findall(r"[\w.]+", str(value).replace("None", "null"))
    assert all(word in text for word in words)


def test_a_time_has_its_zone(monkeypatch: pytest.MonkeyPatch):
    """A ticket is read elsewhere."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert time_html(0) == (
            '<time datetime="1970-01-01T00:00:00Z">1970-01-01 05:30:00 UTC+05:30</time>'
        )
        assert time_html(1 << 62) == f"{1 << 62} ms"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_page_of_a_deep_session_is_bounded_in_its_indentation(tmp_path: Path):
    """Sixty levels; each step has its line with type, duration, tokens and cost."""
    sid = new_id()
    parent, records = sid, []
    for depth in range(60):
        records.append(
            event(sid, T0 + depth, parent_id=parent, event_type="model",
                  event_name=f"level {depth}", metadata={"total_tokens": 12, "cost": 0.25})
        )  # fmt: skip
        parent = id_of(records[-1])
    write(tmp_path / "store.db", session_end(sid), *records)
    store = SqliteStore(tmp_path / "store.db", read_only=True)
    stored = store.session(sid)
    assert stored is not None
    text = page(stored, {step.event_id: store.event(step.event_id) for step in stored.events})
    store.close()
    assert text.count("model · 100 ms · 12 tokens · $0.25") == 60
    assert {int(level) for level in re.findall(r'<span class="d(\d+)"', text)} == set(range(25))
