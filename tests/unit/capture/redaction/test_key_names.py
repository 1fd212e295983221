"""Which keys name secrets: whole words decide, and the search that every new key costs misses
none of them."""

from __future__ import annotations

import pytest

from sessiontrace.capture.redaction import key_names
from sessiontrace.capture.redaction.key_names import Secrecy, names_secret, secrecy_of

SECRET = [
    "password", "PASSWORD", "db_password", "passwd", "pass", "db_pass", "pwd", "db_pwd",
    "PGPASSWORD", "newPassword", "password_confirmation", "password2", "passwords", "secret",
    "client_secret", "clientSecret", "SECRET_KEY_BASE", "api_key", "apiKey", "X-API-Key",
    "OPENAI_API_KEY", "openaiApiKey", "OpenAIKey", "api_keys", "signing_key", "private_key",
    "privateKeyPem", "encryption-key", "access_token", "refreshToken", "X-Auth-Token", "bot_token",
    "csrf_token", "token", "HF_TOKEN", "Authorization", "Proxy-Authorization", "cookie",
    "Set-Cookie", "credentials", "ssn", "cvv", "card_number", "passphrase", "jwt", "auth",
    "totp_secret", "sas_token", "AccountKey", "aws_secret_access_key", "aws.secretAccessKey",
    "b'authorization'", "--api-key",
]  # fmt: skip

PUBLIC = [
    "secretary", "passwordless", "cookie_policy", "credentials_valid", "password_hint", "tokens",
    "eos_token", "nextPageToken", "pad-token", "max_tokens", "prompt_tokens", "token_count",
    "time_to_first_token", "time_per_output_tokens", "tokenizer", "token_type", "id", "key",
    "primary_key", "cache_key", "sort_key", "public_key", "author", "keyboard", "keywords",
    "api_key_id", "access_key_id", "password_policy", "password_min_length", "passport", "compass",
    "passenger", "secret_name", "auth_method", "cookie_consent", "discard", "card_type",
    "idempotency_key",
]  # fmt: skip


@pytest.mark.parametrize("key", SECRET)
def test_names_of_secrets(key: str) -> None:
    """However headers, JSON, code and environment variables spell them."""
    assert key_names.MAY_NAME_SECRET.search(key)
    assert names_secret(key)


@pytest.mark.parametrize("key", PUBLIC)
def test_keys_with_such_a_word_elsewhere(key: str) -> None:
    """What describes a secret is none, and a trace without these says little."""
    assert not names_secret(key)


@pytest.mark.parametrize(
    "words",
    [key_names._EXACT, key_names._WORDS, key_names._ENDINGS, ["x_key", "x_token", "cookie"]],
)
def test_the_search_finds_every_name(words: list[str]) -> None:
    """A name that the search misses would never be masked."""
    for word in words:
        assert key_names.MAY_NAME_SECRET.search(word.upper()), word


def test_only_exact_names_make_a_number_secret() -> None:
    """A count, a time or an id under a key that ends in the word stays."""
    assert secrecy_of("password") is Secrecy.ANY
    assert secrecy_of("last_password") is Secrecy.TEXT
    assert secrecy_of("some_token") is Secrecy.PERHAPS
    assert secrecy_of("x" * 200 + "password") is Secrecy.NONE


@pytest.mark.parametrize("key", ["X-API-Key", "xApiKey", "x_api_key"])
def test_capitals_and_joints_make_no_difference(key: str) -> None:
    """Headers, JSON and environment variables spell the same key differently."""
    assert key_names.normalize_key(key) == "xapikey"
