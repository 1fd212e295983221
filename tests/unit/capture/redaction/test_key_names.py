"""Which keys name secrets: the search that every new key costs misses none of them."""

from __future__ import annotations

import pytest

from sessiontrace.capture.redaction import key_names


@pytest.mark.parametrize("key", [*key_names._PARTS, *key_names._WHOLE])
def test_the_search_finds_every_name(key: str) -> None:
    """A name that the search misses would never be masked."""
    assert key_names.may_name_secret(key)
    assert key_names.names_secret(key)
    assert key_names.names_secret(key.upper())


@pytest.mark.parametrize("key", ["X-API-Key", "xApiKey", "x_api_key"])
def test_capitals_and_joints_make_no_difference(key: str) -> None:
    """Headers, JSON and environment variables spell the same key differently."""
    assert key_names.normalize_key(key) == "xapikey"
    assert key_names.names_secret(key)


@pytest.mark.parametrize("key", ["eos_token", "nextPageToken", "pad-token", "tokens", "id"])
def test_tokens_of_language_models_and_pages_are_shown(key: str) -> None:
    """They are no secrets, and a trace without them says little."""
    assert not key_names.names_secret(key)
