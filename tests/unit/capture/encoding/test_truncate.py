"""What is too large is cut, the longest texts first, and says how much is gone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sessiontrace.capture.encoding.encoder import CAP, encode
from sessiontrace.capture.encoding.truncate import truncate_to


def decoded(value: object, cap: int = CAP) -> Any:
    encoded = encode(value, cap)
    assert len(encoded) <= cap
    return orjson.loads(encoded)


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def test_what_is_cut_says_how_much_is_gone() -> None:
    """A reader must see that there was more, and how much."""
    assert decoded("x" * 300_000).endswith("… [cut: 168928 of 300000 characters]")
    assert decoded(list(range(20_000)))[-1] == "… [cut: 19000 more items]"
    assert decoded({str(n): n for n in range(20_000)})["…"] == "… [cut: 19000 more keys]"
    assert "nested deeper than 20" in encode(deep(40)).decode()


def test_the_longest_texts_are_cut_first() -> None:
    """Ten short answers beside a huge document stay whole; only the document is cut."""
    value = {"document": "d" * 400_000, "answers": ["a" * 500 for _ in range(10)]}
    shorter = decoded(value, cap=20_000)
    assert shorter["answers"] == value["answers"]
    assert 10_000 < len(shorter["document"]) < 20_000


@pytest.mark.parametrize("cap", [128, 1_000, 50_000])
@pytest.mark.parametrize(
    "value",
    [
        ["\x00" * 100_000],
        [["x"] * 900] * 900,
        {f"key {n:0200}": "v" * 90 for n in range(999)},
        "\U0001f600" * 100_000,
    ],
    ids=["escapes", "items", "keys", "astral"],
)
def test_no_shape_gets_over_the_cap(value: object, cap: int) -> None:
    """Escapes, many small items, long keys and wide characters all end under the cap."""
    encoded = encode(value, cap)
    assert len(encoded) <= cap
    orjson.loads(encoded)


def test_a_decoded_value_is_truncated() -> None:
    """Vendors cut decoded records with it to their own limits."""
    assert len(truncate_to({"a": ["x" * 5_000, "y"], "b": 1}, 1_000)) <= 1_000
