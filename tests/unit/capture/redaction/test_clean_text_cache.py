"""A key or text without a secret is scanned once; one with a secret whenever it comes."""

from __future__ import annotations

import time
import uuid

import pytest

from sessiontrace.capture.encoding.encoder import encode_and_check, encode_object_and_check
from sessiontrace.capture.redaction import clean_text_cache
from sessiontrace.capture.redaction.clean_text_cache import (
    CLEAN_KEYS,
    NO_REDACTION,
    CleanTextCache,
    all_keys_clean,
)
from sessiontrace.capture.redaction.masker import Masker
from sessiontrace.capture.redaction.redactor import Redactor

CHAT = [
    {"role": "user", "content": "@ where is the harbour?"},
    {"role": "assistant", "content": ["@ to the", {"type": "text", "text": "@ west of the town"}]},
]


class CountingMasker(Masker):
    """Masks the word "secret" in texts with an @, and keeps every text that it is asked about."""

    def __init__(self) -> None:
        super().__init__(emails=True)
        self.texts: list[str] = []

    def mask_text(self, text: str, depth: int = 0) -> str:
        self.texts.append(text)
        return text.replace("secret", "***")


def test_a_chat_that_grows_is_scanned_once() -> None:
    """Each step of an agent sends the whole history again: only a new text costs a scan."""
    masker = CountingMasker()
    cache = CleanTextCache(masker)
    assert encode_and_check({"messages": CHAT}, cache)[1] is False
    count = len(masker.texts)
    longer = [*CHAT, {"role": "user", "content": "@ thanks"}]
    assert encode_and_check({"messages": longer}, cache)[1] is False
    assert masker.texts[count:] == ["@ thanks"]
    assert {"@ where is the harbour?", "@ to the", "@ west of the town"} <= set(masker.texts)


def test_a_text_with_a_secret_needs_redaction_every_time() -> None:
    """It is never remembered, wherever it is: bare, in a list, or as a message's content."""
    cache = CleanTextCache(CountingMasker())
    for value in ("@ my secret", ["@ my secret"], {"role": "user", "content": "@ my secret"}):
        for _ in range(2):
            assert encode_object_and_check(value, "input", cache)[1] is True


def test_texts_that_the_walk_made_are_scanned_too() -> None:
    """Objects that are not JSON's own take the slow path; their texts are texts all the same."""
    masker = CountingMasker()

    class Own(Exception):  # noqa: N818  a value whose text is the code of its class
        def __str__(self) -> str:
            return "<Own @ secret>"

    assert encode_and_check({"a": Own()}, CleanTextCache(masker))[1] is True
    assert "<Own @ secret>" in masker.texts


def test_the_cache_is_bounded() -> None:
    """Texts that are new for ever must not fill the memory; hashes are kept, never texts."""
    cache = CleanTextCache(CountingMasker())
    for number in range(20_000):
        cache.needs_masking((f"text {number}",))
    assert 0 < len(cache.hashes) <= 8_192
    assert all(type(text_hash) is int for text_hash in cache.hashes)


def test_without_redaction_no_text_needs_it() -> None:
    """``redact=False`` records what it is given; a secret key is noticed, and then not masked."""
    assert encode_and_check({"password": "my secret"}, NO_REDACTION)[1] is True
    assert encode_and_check({"a": "sk-AbCdEf0123456789AbCdEf"}, NO_REDACTION)[1] is False


@pytest.mark.parametrize("key", ["password", "api_key", "PASSWORD", "sk-AbCdEf0123456789AbCdEf"])
def test_a_key_with_a_secret_is_never_remembered(key: str) -> None:
    """Whether it names one or is one."""
    for _ in range(2):
        assert not all_keys_clean([key])
    assert key not in CLEAN_KEYS


def test_a_key_that_a_redactor_adds_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been found clean a thousand times before the redactor was made."""
    monkeypatch.setattr(clean_text_cache, "_secret_keys", set())  # of the whole process
    assert all_keys_clean(["shoeSize"])
    assert "shoeSize" in CLEAN_KEYS
    redactor = Redactor(["shoe_size"])
    assert not all_keys_clean(["shoeSize"])
    assert "shoeSize" not in CLEAN_KEYS
    assert redactor(b'{"inputs":{"shoeSize":44}}') == b'{"inputs":{"shoeSize":"***"}}'


def test_clean_keys_are_bounded_and_soon_found() -> None:
    """Dicts whose keys are ids bring new keys for ever."""
    started = time.perf_counter()
    for _ in range(20):
        assert all_keys_clean([str(uuid.uuid4()) for _ in range(1_000)])
    assert time.perf_counter() - started < 5.0
    assert len(CLEAN_KEYS) <= 4_096


@pytest.mark.parametrize("key", [5, None, ("a",), "x" * 65], ids=str)
def test_a_key_that_is_not_a_short_text_is_scanned_each_time(key: object) -> None:
    """It is nothing to remember."""
    assert not all_keys_clean([key])
