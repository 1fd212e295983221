"""Which keys of users' data name secrets; pure, called from any thread.

A key is split into words (``xApiKey``, ``X-API-Key`` and ``x_api_key`` have the same), and its last
words decide, so that ``password_hint`` and ``secretary`` are no secrets. ``MAY_NAME_SECRET`` is
asked of every new key and costs one search; ``secrecy_of`` decides. Invariant: ``MAY_NAME_SECRET``
finds something in every key that ``names_secret``.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache

from sessiontrace.model.lazy_pattern import lazy_pattern


class Secrecy(enum.IntEnum):
    """What a key says about its value."""

    NONE = 0
    PERHAPS = 1
    """A secret if the value looks like a credential: ``token`` is a word of language models too."""
    TEXT = 2
    """Any text is a secret; a number is not."""
    ANY = 3
    """Numbers are secrets too: the key is exactly the name of a secret."""


_EXACT = frozenset({
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "apikey", "secretkey",
    "accesskey", "privatekey", "authtoken", "accesstoken", "refreshtoken", "clientsecret", "otp",
    "cvv", "cvc", "cvv2", "cvc2", "ssn", "socialsecuritynumber", "cardnumber", "creditcard",
    "creditcardnumber", "pincode", "xapikey", "userpassword", "dbpassword", "dbpwd", "dbpass",
})  # fmt: skip
"""Keys, without joints, whose values are secrets whatever they are."""

_WORDS = frozenset({
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "apikey", "credential",
    "cred", "authorization", "jwt", "csrf", "xsrf", "cvv", "cvc", "ssn", "otp", "totp",
    "secretkey", "accesskey", "privatekey", "authtoken", "accesstoken", "refreshtoken",
    "clientsecret", "csrftoken", "xsrftoken", "sessiontoken", "cardnumber", "creditcard",
    "passwort", "kennwort",
})  # fmt: skip
"""A key whose last word is one of these names a secret."""

_ENDINGS = (
    "password", "passwd", "passphrase", "apikey", "secretkey", "accesskey", "privatekey",
    "authtoken", "accesstoken", "refreshtoken", "sessiontoken", "clientsecret", "creditcard",
)  # fmt: skip
"""The same at the end of a word without joints, such as ``PGPASSWORD``."""

_BEFORE_KEY = frozenset({
    "api", "access", "private", "secret", "signing", "signature", "encryption", "encrypt",
    "decryption", "master", "auth", "authorization", "account", "storage", "subscription", "ssh",
    "deploy", "hmac", "license", "licence", "gpg", "pgp", "rsa", "dsa", "ecdsa", "aes", "tls",
    "ssl", "shared", "app", "application", "service", "consumer", "admin", "root", "jwt", "cookie",
    "cipher", "webhook", "write", "ingest", "ingestion", "sas", "vault", "wallet", "openai",
    "anthropic", "claude", "groq", "google", "gemini", "aws", "azure", "mistral", "cohere",
    "huggingface", "hf", "replicate", "together", "fireworks", "xai", "openrouter", "perplexity",
    "deepseek", "langsmith", "langchain", "langfuse", "honeyhive", "humanloop", "posthog",
    "pinecone", "tavily", "serper", "stripe", "twilio", "sendgrid", "mailgun", "github", "gitlab",
    "datadog", "cerebras", "nvidia", "elevenlabs", "voyage", "jina", "ai",
})  # fmt: skip
"""``key`` after one of these is a secret; a primary, sort or cache key is not."""

_BEFORE_TOKEN = frozenset({
    "access", "refresh", "auth", "authentication", "authorization", "api", "bearer", "session",
    "bot", "csrf", "xsrf", "csrfmiddleware", "verification", "security", "oauth", "personal",
    "jwt", "id", "reset", "invite", "invitation", "service", "secret", "user", "admin", "deploy",
    "webhook", "private", "client", "login", "device", "push", "vault", "sas", "hf", "hub",
    "huggingface", "github", "gh", "gitlab", "slack", "discord", "telegram", "npm", "pypi",
    "databricks", "replicate", "cloudflare", "azure", "aws", "google", "openai", "mapbox",
    "sentry", "notion", "linear", "stripe", "twilio", "honeyhive", "posthog", "identity",
    "impersonation", "remember", "shopify", "vercel", "netlify", "digitalocean", "do", "account",
})  # fmt: skip
"""``token`` after one of these is a secret; after another word its value decides."""

_BEFORE_COOKIE = frozenset({"set", "session", "auth", "http", "login", "csrf", "request", "proxy"})
_BEFORE_PASS = frozenset({
    "db", "database", "smtp", "mail", "email", "ftp", "root", "admin", "user", "mysql", "pg",
    "postgres", "redis", "mongo", "proxy", "http", "ldap", "wifi", "my", "key", "keystore", "sudo",
})  # fmt: skip
_PUBLIC_TOKENS = frozenset({
    "bos", "eos", "pad", "unk", "sep", "cls", "mask", "page", "next", "continuation", "stop",
    "start", "end", "first", "last", "sync", "previous", "prev", "cursor", "special", "text",
    "decoded", "generated", "new", "per", "to",
})  # fmt: skip
"""``token`` after one of these is never a secret."""

_AFTER = frozenset({
    "value", "val", "raw", "plain", "plaintext", "text", "str", "string", "old", "new", "current",
    "confirm", "confirmation", "confirmed", "repeat", "again", "base", "hash", "hashed", "digest",
    "primary", "secondary", "prod", "production", "dev", "development", "test", "staging", "live",
    "pem", "b64", "base64", "encoded", "encrypted", "header", "backup", "admin", "default", "md5",
    "sha256", "bcrypt", "sha", "salted", "env", "b",
})  # fmt: skip
"""Words behind the name of a secret that leave it one: ``password_confirmation``."""

_PLURALS = ("passwords", "secrets", "tokens", "keys", "credentials", "creds", "cookies", "apikeys")

MAY_NAME_SECRET = lazy_pattern(
    "pass|pwd|secret|key|cred|auth|cookie|csrf|xsrf|card|cvv|cvc|ssn|social|jwt|otp|token|wort"
    "|pincode|bearer",
    re.IGNORECASE | re.ASCII,
)
"""A part of each of the above, so that ids and ordinary keys cost one search."""

_SPLIT = lazy_pattern(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONGEST = 80  # characters; a longer text is no name


def normalize_key(key: str) -> str:
    """A key in small letters and digits only: ``X-API-Key`` and ``xApiKey`` are the same key."""
    return re.sub(r"[^a-z0-9]", "", key.lower())


@lru_cache(maxsize=4_096)
def secrecy_of(key: str) -> Secrecy:
    """What ``key`` says about the value under it."""
    if len(key) > _LONGEST or MAY_NAME_SECRET.search(key) is None:
        return Secrecy.NONE
    joined = normalize_key(key)
    if joined in _EXACT:
        return Secrecy.ANY
    words = [word.lower() for word in _SPLIT.findall(key)]
    while len(words) > 1 and (words[-1] in _AFTER or words[-1].isdigit()):
        words.pop()
    if not words:
        return Secrecy.NONE
    *before, last = words
    if last in _PLURALS:
        last = last[:-1]
        if last == "token" and not before:
            return Secrecy.NONE
    if last in _WORDS or last.endswith(_ENDINGS) or joined.endswith(_ENDINGS):
        return Secrecy.TEXT
    return _of_ambiguous(before, last, plural=last != words[-1])


def _of_ambiguous(before: list[str], last: str, *, plural: bool) -> Secrecy:
    """The secrecy of a key that ends in a word with another meaning beside the secret one."""
    qualifier = before[-1] if before else ""
    if last == "key":
        return Secrecy.TEXT if qualifier in _BEFORE_KEY else Secrecy.NONE
    if last == "token":
        if qualifier in _BEFORE_TOKEN:
            return Secrecy.TEXT
        return Secrecy.NONE if plural or qualifier in _PUBLIC_TOKENS else Secrecy.PERHAPS
    if last == "cookie":
        return Secrecy.TEXT if qualifier in _BEFORE_COOKIE else Secrecy.PERHAPS
    if last == "pass":
        return Secrecy.TEXT if not before or qualifier in _BEFORE_PASS else Secrecy.PERHAPS
    return Secrecy.PERHAPS if last in {"auth", "bearer"} else Secrecy.NONE


def names_secret(key: str) -> bool:
    """Whether the value under ``key`` is masked by default, if it is a text that may be one."""
    return secrecy_of(key) is not Secrecy.NONE
