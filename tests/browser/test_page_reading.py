"""Reading a step in a real browser: markdown, cards of tools, media, and attacks on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import MARKS, Page, eventually
from support.records import T0, event, id_of, session_end, write
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id

pytestmark = MARKS

ANSWER = "## Your order\n\nIt is **on its way**:\n\n1. packed\n2. sent\n\n```python\nx = 1\n```"
TOOL = {
    "name": "look_up", "description": "Looks up an **order**.",
    "input_schema": {"properties": {"order": {"type": "integer"}}, "required": ["order"]},
}  # fmt: skip
HISTORY = [
    {"role": "system", "content": "Be brief.\n" + "- Say where it comes from.\n" * 60},
    {"role": "user", "content": "Where is my order?"},
    {"role": "assistant", "tool_calls": [
        {"id": "c1", "function": {"name": "look_up", "arguments": '{"order": 4711}'}}]},
    {"role": "tool", "tool_call_id": "c1", "content": '{"status": "sent"}'},
]  # fmt: skip

SCRIPT = "<script>window.owned=1</script><img src=x onerror='window.owned=1'>"
ATTACKS = "\n\n".join(
    [
        SCRIPT,
        "**bold** so that it is read as markdown",
        "[a](javascript:window.owned=1) <javascript:window.owned=1>",
        "[b](data:text/html;base64,PHNjcmlwdD53aW5kb3cub3duZWQ9MTwvc2NyaXB0Pg==)",
        "![c](data:image/svg+xml,<svg/onload=window.owned=1>) ![d](https://a.invalid/p.png)",
        "<svg onload='window.owned=1'></svg>",
        f"```{SCRIPT}\n{SCRIPT}\n```",
        f"| {SCRIPT} |\n|---|\n| {SCRIPT} |",
    ]
)


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """One server for the module: a call of a model with everything, and one of attacks only."""
    db = tmp_path_factory.mktemp("reading") / "store.db"
    sid = new_id()
    call = event(
        sid, T0, 400, event_type="model", event_name="call", inputs={"chat_history": HISTORY},
        outputs={"role": "assistant", "reasoning": "It was sent.", "content": ANSWER},
        config={"model": "m", "tools": [TOOL]},
    )  # fmt: skip
    picture = {"media_type": "image/png", "bytes": 48211, "sha256": "9f86d081884c7d65"}
    following = event(
        sid, T0 + 410, 20, event_type="model", event_name="following",
        inputs={"chat_history": [*HISTORY, {"role": "assistant", "content": "Sent."},
                                 {"role": "user", "content": "When?"}]},
    )  # fmt: skip
    choices = event(
        sid, T0 + 500, 10, event_type="model", event_name="choices",
        inputs={"messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": picture}}]}]},
        outputs={"choices": [
            {"index": n, "message": {"role": "assistant", "content": text}}
            for n, text in enumerate(("A pot.", "A teapot."))]},
    )  # fmt: skip
    tool = event(sid, T0 + 600, 10, event_name="tool", outputs={"page": ANSWER, "scan": picture})
    attack = event(sid, T0 + 700, 10, event_type="model", event_name="attack", **_attacks())
    steps = {"call": call, "following": following, "choices": choices, "tool": tool,
             "attack": attack}  # fmt: skip
    write(db, session_end(sid, event_name="chat", inputs={"q": ATTACKS}), *steps.values())
    ids = {"sid": sid, **{name: id_of(one) for name, one in steps.items()}}
    with serving(db) as server:
        yield server, ids


def _attacks() -> dict[str, Any]:
    """Attacks in each place of a call."""
    parts = [
        {"type": "text", "text": ATTACKS},
        {"type": "thinking", "thinking": ATTACKS},
        {"type": "image_url", "image_url": {"url": "javascript:window.owned=1"}},
        {"type": "image_url", "image_url": {
            "url": "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9IndpbmRvdy5vd25lZD0xIi8+"}},
        {"type": "image", "source": {"media_type": SCRIPT, "data": SCRIPT, "url": SCRIPT}},
        {"type": "tool_use", "id": "t", "name": SCRIPT, "input": {SCRIPT: ATTACKS}},
        {"type": "tool_result", "tool_use_id": "t", "content": ATTACKS, "is_error": True},
        {"type": SCRIPT, "file_id": ATTACKS},
    ]  # fmt: skip
    roles = ("system", "user", "assistant", "tool", SCRIPT, "__proto__")
    schema = {"properties": {SCRIPT: {"description": ATTACKS}, "__proto__": {}}}
    return {
        "inputs": {"messages": [{"role": role, "name": SCRIPT, "content": parts}
                                for role in roles]},
        "outputs": {"role": "assistant", "content": ATTACKS, "refusal": ATTACKS,
                    "reasoning": ATTACKS, "page": ATTACKS,
                    "scan": {"media_type": SCRIPT, "sha256": SCRIPT, "bytes": 1}},
        "config": {"tools": [{"name": SCRIPT, "description": ATTACKS, "parameters": schema}]},
        "metadata": {"note": ATTACKS},
        "error": ATTACKS,
    }  # fmt: skip


@pytest.fixture
def step(browser: Any, reading: tuple[Served, dict[str, str]]) -> Iterator[Any]:
    """Opens a step by its name."""
    server, ids = reading
    page = Page(browser, server)
    page.size(1400)
    page.complaints()

    def opened(name: str) -> Page:
        page.open(f"/sessions/{ids['sid']}#{ids[name]}")
        page.until(".detail h2", [name])
        return page

    yield opened
    page.run("localStorage.clear()")
    assert page.leave() == []


def test_an_answer_in_markdown_is_rendered_and_raw_on_request(step: Any):
    """Headings, lists and code as they were meant; the switch shows the text as it came."""
    page = step("call")
    page.until(".md .md-h", ["Your order"])
    assert page.texts(".md li") == ["packed", "sent"]
    assert page.texts(".md pre") == ["x = 1"]
    assert page.texts(".code .lang") == ["python"]
    page.click(".section:nth-of-type(2) .raw")
    eventually(lambda: "## Your order" in page.one(".detail").text)
    step("tool")
    eventually(lambda: "## Your order" in page.one(".detail").text)
    assert page.count(".md-h") == 0


def test_a_long_system_prompt_is_folded_and_a_call_has_its_result(step: Any):
    """What matters is seen first: the question, the call of the tool and what it returned."""
    page = step("call")
    page.until(".chat .role", ["System", "User", "Assistant", "Assistant"])
    assert page.texts(".long summary") == ["1.6 kB Be brief."]
    assert page.texts(".call") == ["calls look_up\norder\n4711\nreturned\nstatus\nsent"]
    assert page.texts(".thought") == ["Reasoning\nIt was sent."]
    page.click(".long summary")
    eventually(lambda: page.count(".long li") == 60)
    page.click(".tools summary")
    page.until(".parameters", ["order\ninteger, required"])


def test_what_a_call_repeats_of_the_one_before_is_folded(step: Any):
    """Only the new messages are open; the others say which call they are known from."""
    page = step("following")
    page.until(".chat .said", ["Sent.", "When?"])
    assert page.texts(".earlier summary") == ["4 earlier messages, known from call at 0.0 ms"]
    page.click(".earlier summary")
    page.until(".earlier .call", ["calls look_up\norder\n4711\nreturned\nstatus\nsent"])


def test_each_choice_and_each_picture_is_shown(step: Any):
    """Several answers are all there; a picture that was not kept is known by its digest."""
    page = step("choices")
    page.until(".chat .said", ["What is it?", "A pot.", "A teapot."])
    assert page.texts(".media") == ["image/png\n48 kB\n9f86d081884c"]
    page = step("tool")
    page.until(".media", ["image/png\n48 kB\n9f86d081884c"])
    page.until(".md .md-h", ["Your order"])


def test_attacks_in_each_field_run_nothing(step: Any):
    """Markdown, SVG, data URLs and scripts, in names, texts, media, tools and errors."""
    page = step("attack")
    eventually(lambda: page.count(".md strong") > 5)
    page.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    eventually(lambda: page.count(".md table") > 8)
    assert page.run("return window.owned") is None
    assert page.count("main script, main img, main iframe, main object, main embed") == 0
    assert page.count("main svg:not([aria-hidden])") == 0
    links = page.run(
        "return [...document.querySelectorAll('main a')].map(a => [a.protocol, a.rel])"
    )
    assert {tuple(link) for link in links} <= {
        ("http:", ""), ("https:", "noopener noreferrer nofollow")
    }  # fmt: skip


def test_without_the_library_texts_stand_as_they_are(page: Page, db: Path):
    """A server without the extra says so once; the page shows the text."""
    sid = new_id()
    call = event(sid, event_type="model", outputs={"role": "assistant", "content": ANSWER})
    write(db, session_end(sid), call)
    script = page.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": WITHOUT_LIBRARY}
    )
    try:
        page.open(f"/sessions/{sid}#{id_of(call)}")
        page.until(".chat .said", [ANSWER])
        assert page.count(".md") == 0
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


WITHOUT_LIBRARY = """
const real = window.fetch;
const answer = '{"available": false, "trees": [null]}';
window.fetch = (...all) =>
  all[0] === '/api/markdown' ? Promise.resolve(new Response(answer)) : real(...all);
"""
