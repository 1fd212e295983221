"""Markdown as a tree: what it may contain, and what it costs."""

from __future__ import annotations

import pytest

from sessiontrace.text import markdown

pytestmark = pytest.mark.timeout(20)


def tags(nodes: list[markdown.Node]) -> list[str]:
    """The tags of a tree, in the order of the text."""
    return [tag for node in nodes if not isinstance(node, str) for tag in (node[0], *tags(node[2]))]


def test_an_answer_becomes_a_tree():
    """What models write: headings, emphasis, lists, code with its language, tables, links."""
    text = "# Plan\n\nDo **this**\nnow.\n\n- a\n- b\n\n```python\nx = 1\n```\n\n[docs](https://a.test/x)"
    assert markdown.tree(text) == [
        ["h1", {}, ["Plan"]],
        ["p", {}, ["Do ", ["strong", {}, ["this"]], ["br", {}, []], "now."]],
        ["ul", {}, [["li", {}, ["a"]], ["li", {}, ["b"]]]],
        ["pre", {"lang": "python"}, ["x = 1"]],
        ["p", {}, [["a", {"href": "https://a.test/x"}, ["docs"]]]],
    ]
    table = markdown.tree("| a | b |\n|---|--:|\n| 1 | 2 |")
    assert table is not None
    assert tags(table) == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert table[0][2][0][2][0][2][1] == ["th", {"align": "right"}, ["b"]]


ATTACKS = [
    "<script>x()</script>",
    "<img src=x onerror=x()>",
    "<svg onload=x()>",
    "text <b onclick=x()>b</b>",
    "[x](javascript:x())",
    "[x](JaVaScRiPt:x())",
    "[x](&#106;avascript:x())",
    "[x](java\tscript:x())",
    "[x](vbscript:x())",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](file:///etc/passwd)",
    "[x](/api/score)",
    "[x](//evil.test/)",
    "<javascript:x()>",
    "![x](javascript:x())",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '![x](data:image/png;base64,AA==" onerror="x())',
    "![x](data:text/html,<script>)",
    "[a]: javascript:x()\n\n[a]",
    '```"><script>x()</script>\ny\n```',
]


@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_an_attack_is_text(text: str):
    """No link but to the web, no picture but of pixels, no element of the text's own."""
    nodes = markdown.tree(text)
    assert nodes is not None
    assert set(tags(nodes)) <= {"em", "p", "pre"}
    html = markdown.as_html(nodes)
    assert "<script" not in html
    assert "<img" not in html
    assert "<svg" not in html
    assert "<b" not in html


def test_a_picture_of_elsewhere_is_a_link_that_nothing_loads():
    """A picture within the text is shown; one from the web would say that the page is read."""
    pixels = "data:image/png;base64,iVBORw0KGgo="
    nodes = markdown.tree(f"![here]({pixels}) ![there](https://a.test/p.png)")
    assert nodes == [
        [
            "p", {},
            [["img", {"src": pixels, "alt": "here"}, []], " ",
             ["a", {"href": "https://a.test/p.png"}, ["picture: there"]]],
        ]
    ]  # fmt: skip
    html = markdown.as_html(nodes)
    assert f'<img src="{pixels}" alt="here">' in html
    assert '<a href="https://a.test/p.png" rel="noopener noreferrer nofollow">' in html


@pytest.mark.parametrize(
    "text",
    [
        "[x]: y\n" * 7_000,
        "|a" * 4_000 + "|\n" + "|-" * 4_000 + "|\n" + "|\n" * 9_000,
        "> - " * 12_000,
        "[" * 20_000,
    ],
    ids=["definitions", "table", "nesting", "brackets"],
)
def test_a_text_that_is_made_to_cost_costs_little(text: str):
    """Definitions by the thousand and a table of 36 million empty cells took minutes and GBs."""
    nodes = markdown.tree(text)
    assert nodes is not None
    assert len(tags(nodes)) < 20_000


def test_a_text_too_long_for_a_tree_has_none():
    """It is shown as it is."""
    assert markdown.tree("a" * markdown.CHARACTERS_MAX) == [["p", {}, ["a" * 50_000]]]
    assert markdown.tree("a" * (markdown.CHARACTERS_MAX + 1)) is None
