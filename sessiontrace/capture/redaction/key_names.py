"""Keys of the user's data: which of them name secrets; pure, and asked of any thread.

``KNOWN`` holds keys that were seen and found harmless, so that the usual dict costs one look. It is
a hint only. Invariant: a key that names a secret, by default or for any redactor made in this
process, is never in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sessiontrace.capture.redaction.patterns import LEAST, mask_secrets, may_contain_secret

__all__ = ["KNOWN", "add_secret_keys", "all_keys_clean", "names_secret", "normalize_key"]

KNOWN: set[object] = set()

_KNOWN_MAX = 4_096
_KEY_MAX = 64

_WITH = (
    "password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "credential",
    "authorization", "cookie", "csrf", "cardnumber", "creditcard",
)  # fmt: skip
_EXACT = frozenset({"pwd", "auth", "cvv", "cvc", "ssn", "jwt", "bearer", "otp", "token"})
_HARMLESS = frozenset(
    f"{kind}token"
    for kind in ("bos", "eos", "pad", "unk", "sep", "cls", "mask", "page", "nextpage", "next",
                 "continuation", "stop")
)  # fmt: skip
# A part of each of the above, so that ids and other harmless keys cost one search.
_MAYBE = re.compile(
    "pass|pwd|secret|key|cred|auth|cookie|csrf|card|cvv|cvc|ssn|jwt|bearer|otp|token", re.IGNORECASE
)
_watched: set[str] = set()


def normalize_key(key: str) -> str:
    """A key without capitals and joints: ``X-API-Key`` and ``xApiKey`` are one."""
    return re.sub(r"[^a-z0-9]", "", key.lower())


def names_secret(key: str) -> bool:
    """Whether the default says that what is under ``key`` must not be seen."""
    if _MAYBE.search(key) is None:
        return False
    name = normalize_key(key)
    if name in _EXACT or any(part in name for part in _WITH):
        return True
    return name.endswith("token") and name not in _HARMLESS


def add_secret_keys(names: Iterable[str]) -> None:
    """Keys that some redactor masks beside the default ones."""
    _watched.update(map(normalize_key, names))
    KNOWN.clear()


def all_keys_clean(keys: Iterable[object]) -> bool:
    """Whether all of the keys are harmless texts; those that are will be known."""
    for key in list(keys):
        if key in KNOWN:
            continue
        if type(key) is not str or len(key) > _KEY_MAX:
            return False  # to be looked at whenever it comes
        if names_secret(key) or (_watched and normalize_key(key) in _watched):
            return False
        if len(key) >= LEAST and may_contain_secret(key) and mask_secrets(key) != key:
            return False
        if len(KNOWN) >= _KNOWN_MAX:
            KNOWN.clear()
        KNOWN.add(key)
    return True
