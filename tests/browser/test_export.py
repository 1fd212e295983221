"""An exported session in a browser: it reads like the page, and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from support.axe import axe_source
from support.browser import MARKS
from support.records import T0, event, id_of, session_end, write

import sessiontrace as st
from sessiontrace import testing
from sessiontrace.cli import main
from sessiontrace.model.ids import new_id, session_uuid
from sessiontrace.text.html_tree import TreeRow, table_html, tree_html

pytestmark = MARKS

ATTACKS = [
    "<script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "\"><svg onload=document.title='ran'>",
    "</style><style>*{display:none}</style>",
    "</p></div></details></main><iframe srcdoc='<script>top.document.title=1</script>'>",
    "[x](javascript:document.title='ran') [y](data:text/html,<script>1</script>)",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "![x](https://127.0.0.1:9/picture.png) <https://127.0.0.1:9/>",
    "```html\n<script>document.title='ran'</script>\n```",
    "| <b onmouseover=document.title=1>a</b> |\n|---|\n| x |",
    "<base href='https://127.0.0.1:9/'><meta http-equiv=refresh content='0;url=//127.0.0.1:9'>",
]
ANSWER = (
    "Here is **the order**:\n\n| item | price |\n|---|---|\n| book | 12 |\n\n"
    "```python\nprint(1)\n```"
)


def conversation(path: Path, texts: list[str]) -> None:
    """A turn for each text, which is in every field that a person or a model fills."""
    sid = session_uuid("conv-ada-7")
    chat: list[dict[str, Any]] = [{"role": "system", "content": "Be kind. " * 300}]
    for n, text in enumerate(texts):
        at, turn = T0 + n * 60_000, new_id()
        chat.append({"role": "user", "content": f"{text}\n{n}"})
        call = event(
            sid, at + 100, 4_000, parent_id=turn, event_type="model", event_name=f"call {text}",
            inputs={"chat_history": list(chat)}, outputs={"role": "assistant", "content": text},
            metadata={"total_tokens": 1_234, "cost": 0.0123, text[:40]: text},
        )  # fmt: skip
        tool = event(sid, at + 4_200, 300, parent_id=id_of(call), event_name=f"tool {text}",
                     inputs={"id": n, text[:40]: text}, error=f"ValueError: {text}")  # fmt: skip
        end = session_end(
            sid, at, 5_000, event_id=turn, event_name=f"support {text}",
            error=f"TimeoutError: {text}", inputs={"question": f"{text}\n{n}"},
            outputs={"answer": text}, user_properties={"user_id": text},
            metadata={"session_id": "conv-ada-7", "tags": [text]},
        )  # fmt: skip
        write(path, end, call, tool)
        chat.append({"role": "assistant", "content": text})


def export(db: Path) -> Path:
    out = db.with_name("session.html")
    words = ["export", "conv-ada-7", "--db", str(db), "--format", "html", "-o", str(out)]
    assert main(words) == 0
    return out


def show(browser: Any, page: Path, width: int = 1100, scheme: str = "light") -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    browser.execute_script("for (const e of document.querySelectorAll('details')) e.open = true")


def test_an_exported_conversation_reads_like_the_page(browser: Any, db: Path):
    """Turns as a thread with markdown, cost and zone, then every step; on a phone, in the dark."""
    conversation(db, [ANSWER, "And the other one?"])
    page = export(db)
    for width, scheme in ((1100, "light"), (390, "dark")):
        show(browser, page, width, scheme)
        text = browser.execute_script("return document.body.innerText")
        assert re.search(
            r"Turn 1 · \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC[+-]\d\d:\d\d · 5\.00 s · 2 steps", text
        )
        assert "$0.02" in text
        assert text.count("And the other one?\n1") == 3, "in the thread, the turn and the call"
        cells = browser.find_elements("css selector", "article .message.other td")
        assert [cell.text for cell in cells] == ["book", "12"]
        assert browser.find_element("css selector", "article pre code").text == "print(1)"
        assert len(browser.find_elements("css selector", "details.step")) == 6
        wide = "return document.documentElement.scrollWidth > window.innerWidth"
        assert not browser.execute_script(wide)
        browser.execute_script(axe_source())
        found = browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})"
            ".then(found => done(found.violations.map(one => one.id)));"
        )
        assert found == []


def test_E27_nothing_that_was_recorded_runs_in_an_export_or_a_notebook(browser: Any, db: Path):
    """Scripts, handlers, styles, frames, links and pictures, in every field, as text and as
    markdown; a notebook has no policy of its own."""
    conversation(db, ATTACKS)
    page = export(db)
    row = TreeRow(1, *ATTACKS[:3])
    parts = [tree_html(row, [TreeRow(1, text, text, text) for text in ATTACKS], note=ATTACKS[0])]
    parts.append(table_html(ATTACKS[0], ATTACKS, [ATTACKS, ATTACKS]))
    with testing.capture() as traces:
        with st.session(ATTACKS[1]) as session:
            pass
    for drawn in (session, traces):
        html = drawn._repr_html_()
        assert html is not None
        parts.append(html)
    notebook = db.with_name("notebook.html")
    notebook.write_text(f"<!doctype html><title>safe</title>{''.join(parts)}", errors="replace")
    for path in (page, notebook):
        show(browser, path)
        state = browser.execute_script(
            "return [document.title, document.querySelectorAll('script, iframe, base, object, "
            "embed, form, link, style ~ style').length, "
            "performance.getEntriesByType('resource').length, "
            "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
            ".filter(name => name.startsWith('on')), "
            "[...document.querySelectorAll('a')].map(e => e.protocol)]"
        )
        title, elements, requests, handlers, protocols = state
        assert "ran" not in title.split(" ")
        assert (elements, requests, handlers) == (0, 0, [])
        assert set(protocols) <= {"https:"}
        assert browser.get_log("browser") == []
    style = re.search(r"<style>(.*?)</style>", page.read_text(), re.DOTALL)
    assert style is not None
    digest = hashlib.sha256(style[1].encode()).digest()
    assert f"'sha256-{base64.b64encode(digest).decode()}'" in page.read_text()
