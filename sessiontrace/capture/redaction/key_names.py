"""Which keys of users' data name secrets; pure, called from any thread.

Two questions, as of texts in ``patterns``: ``may_name_secret`` is asked of every new key and costs
one search, ``names_secret`` decides. Invariant: ``may_name_secret`` finds something in every key
that ``names_secret``.
"""

from __future__ import annotations

import re

_PARTS = (
    "password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "credential",
    "authorization", "cookie", "csrf", "cardnumber", "creditcard",
)  # fmt: skip
"""A key with one of these in it names a secret."""

_WHOLE = frozenset({"pwd", "auth", "cvv", "cvc", "ssn", "jwt", "bearer", "otp", "token"})
"""A key that is one of these names a secret."""

_PUBLIC_TOKENS = frozenset(
    f"{kind}token"
    for kind in ("bos", "eos", "pad", "unk", "sep", "cls", "mask", "page", "nextpage", "next",
                 "continuation", "stop")
)  # fmt: skip
"""Any other key that ends in "token" names a secret."""

may_name_secret = re.compile(
    "pass|pwd|secret|key|cred|auth|cookie|csrf|card|cvv|cvc|ssn|jwt|bearer|otp|token", re.IGNORECASE
).search
"""A part of each of the above, so that ids and ordinary keys cost one search."""


def normalize_key(key: str) -> str:
    """A key in small letters and digits only: ``X-API-Key`` and ``xApiKey`` are the same key."""
    return re.sub(r"[^a-z0-9]", "", key.lower())


def names_secret(key: str) -> bool:
    """Whether the value under ``key`` is masked by default."""
    if may_name_secret(key) is None:
        return False
    name = normalize_key(key)
    if name in _WHOLE or any(part in name for part in _PARTS):
        return True
    return name.endswith("token") and name not in _PUBLIC_TOKENS
