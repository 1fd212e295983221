"""Objects that a producer sent as ``str`` shows them are read field by field, or left as texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiontrace.wire.python_texts.fields import fields_of


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            "status='success' result='rain' error=None",
            {"status": "success", "result": "rain", "error": None},
        ),
        (
            "content='it\\'s a=1' tool_call_id=\"c 1\"",
            {"content": "it's a=1", "tool_call_id": "c 1"},
        ),
        (
            "content=[TextContent(type='text', text='a b=c')] isError=False",
            {"content": [{"type": "text", "text": "a b=c"}], "isError": False},
        ),
        ("count=3 place=<Place object at 0x7f>", {"count": 3, "place": "<Place object at 0x7f>"}),
    ],
)
def test_each_field_has_its_value(text: str, fields: object) -> None:
    """Also where a text in it holds a name with "=", and an object has fields of its own."""
    assert fields_of(text) == fields


@pytest.mark.parametrize("text", ["", "rain", "it rains, a='1'", "a=[1", "a==1"])
def test_any_other_text_has_no_fields(text: str) -> None:
    """It is shown as it came."""
    assert fields_of(text) is None


@given(st.text(alphabet="a=' \"\\([{<>}])\n1,"))
def test_no_text_raises(text: str) -> None:
    """Quotes and brackets that do not match, in any order."""
    fields = fields_of(f"a={text}")
    assert fields is None or "a" in fields
