"""Coding agents read sessions that are in ClickHouse: the same tools, the same texts."""

from __future__ import annotations

from support.records import T0, event, session_end

from sessiontrace.model.ids import new_id
from sessiontrace.server.apis.mcp.tools import answer
from sessiontrace.store.protocol import Store


def test_every_tool_answers_from_either_store(store: Store):
    """List, search, page, show and count."""
    ids = [new_id() for _ in range(3)]
    for n, sid in enumerate(ids):
        store.write([
            session_end(sid, T0 + n, event_name=f"chat {n}", metadata={"tags": ["vip"]}),
            event(sid, T0 + n, event_name="fetch", inputs={"url": "https://a.example"}),
        ])  # fmt: skip
    store.index()
    first = answer(store, "search_sessions", {"query": "tag:vip", "limit": 2})
    assert [sid in first for sid in ids] == [False, True, True]
    after = first.rpartition('after="')[2].partition('"')[0]
    second = answer(store, "search_sessions", {"query": "tag:vip", "limit": 2, "after": after})
    assert [sid in second for sid in ids] == [True, False, False]
    assert "url: https://a.example" in answer(store, "show_session", {"session": "last"})
    assert "url: https://a.example" in answer(store, "show_step", {"session": ids[0], "step": 1})
    assert "3 sessions: 3 ended" in answer(store, "stats", {})
