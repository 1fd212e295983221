"""What records say of media, read from their JSON as it is."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from sessiontrace.store.media.references import (
    Reference,
    digests_in,
    marked,
    references_in,
)

A, B, C = "a" * 64, "b" * 64, "c" * 64
WHOLE = {"media_type": "image/png", "bytes": 7, "sha256": A}
LONG = {"media_type": "image/png", "bytes": 9, "sha256_of_head": B}


def test_a_record_names_its_media():
    """Whole by hash; long ones by the hash of their head, with the size."""
    body = orjson.dumps({"inputs": [WHOLE, {"url": LONG}]})
    assert list(references_in(body)) == [Reference((A, -1), 7), Reference((B, 9), 9)]


def test_what_is_stored_is_marked_once():
    """The page shows what is marked; a record that comes twice stays the same."""
    body = orjson.dumps({"inputs": [WHOLE, LONG]})
    once = marked(body, {(A, -1): A, (B, 9): C})
    assert orjson.loads(once)["inputs"] == [
        {**WHOLE, "stored": True},
        {"media_type": "image/png", "bytes": 9, "sha256": C, "stored": True},
    ]
    assert list(references_in(once)) == []
    assert marked(once, {(A, -1): A, (C, -1): C}) == once
    assert digests_in(once.decode()) == {A, C}
    assert marked(body, {}) == body


@given(st.text(alphabet='"\\{}:,0123456789abfsht', max_size=40))
def test_a_text_is_never_taken_for_a_description(text: str):
    """A prompt may quote our own format: JSON escapes its quotes."""
    quoted = f'{text}"bytes":7,"sha256":"{A}","stored":true{text}'
    body = orjson.dumps({"inputs": {"text": quoted}})
    assert list(references_in(body)) == []
    assert digests_in(body.decode()) == set()
