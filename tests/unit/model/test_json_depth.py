"""JSON of many levels: what counts as too deep, and that whatever was read can be written."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from sessiontrace.model.json_depth import DEPTH_MAX, encode, is_too_deep


def nested(levels: int, kind: str = "dict") -> Any:
    """A value of so many levels of objects, or of lists."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if kind == "dict" else [value]
    return value


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_a_value_is_too_deep_from_the_first_level_beyond_the_limit(kind: str):
    """The limit itself is allowed; breadth does not count."""
    assert not is_too_deep(nested(DEPTH_MAX, kind))
    assert is_too_deep(nested(DEPTH_MAX + 1, kind))
    assert not is_too_deep([[{}] * 1000] * 100)
    assert not is_too_deep("[" * 1000)


@pytest.mark.parametrize("levels", [1, DEPTH_MAX, 253, 254, 255, 900, 1020])
def test_whatever_orjson_reads_can_be_written(levels: int):
    """What is too deep for the encoder is JSON in a text, from which nothing is lost."""
    text = b'{"a":' * levels + b"1" + b"}" * levels
    value = orjson.loads(encode({"events": [orjson.loads(text)]}))["events"][0]
    reached = 0
    while value != 1:
        value = json.loads(value) if isinstance(value, str) else value["a"]
        reached += isinstance(value, (dict, int))
    assert reached >= levels


def test_a_value_that_is_not_json_is_still_an_error():
    """Only depth has a way out."""
    with pytest.raises(TypeError):
        encode({"a": object()})
