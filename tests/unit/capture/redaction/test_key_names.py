"""Which keys name secrets, and what is remembered of those that do not."""

from __future__ import annotations

import time
import uuid

import pytest

from sessiontrace.capture.redaction import key_names
from sessiontrace.capture.redaction.redactor import Redactor


@pytest.mark.parametrize("key", [*key_names._WITH, *key_names._EXACT])
def test_the_quick_search_knows_every_name(key: str) -> None:
    """A name that the quick search does not know would never be looked at."""
    assert key_names.names_secret(key)
    assert key_names.names_secret(key.upper())
    assert not key_names.all_keys_clean([key])


def test_a_key_a_redactor_asks_for_is_forgotten_to_be_harmless() -> None:
    """It may have been seen a thousand times before the redactor was made."""
    assert key_names.all_keys_clean(["shoeSize"])
    assert "shoeSize" in key_names.KNOWN
    redactor = Redactor(["shoe_size"])
    assert not key_names.all_keys_clean(["shoeSize"])
    assert "shoeSize" not in key_names.KNOWN
    assert redactor(b'{"inputs":{"shoeSize":44}}') == b'{"inputs":{"shoeSize":"***"}}'


def test_what_is_known_is_bounded_and_soon_found() -> None:
    """Dicts whose keys are ids bring new keys for ever."""
    started = time.perf_counter()
    for _ in range(20):
        assert key_names.all_keys_clean([str(uuid.uuid4()) for _ in range(1_000)])
    assert time.perf_counter() - started < 5.0
    assert len(key_names.KNOWN) <= 4_096


@pytest.mark.parametrize("key", [5, None, ("a",), "x" * 65], ids=str)
def test_a_key_that_is_no_short_text_is_looked_at_each_time(key: object) -> None:
    """It is nothing to remember."""
    assert not key_names.all_keys_clean([key])
