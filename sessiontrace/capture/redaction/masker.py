"""Masks secrets in decoded JSON: values under secret keys, and patterns in texts; from any thread.

JSON inside strings is decoded and masked too. A name and its value may also be two items of a list,
as headers are, or two entries of a dict, ``{"name": ..., "value": ...}``. Invariant: a masker does
not change after it is made, so any number of threads may use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import orjson

from sessiontrace.capture.redaction._patterns_py import NAME_MAX
from sessiontrace.capture.redaction.credentials import is_reference, is_words, looks_generated
from sessiontrace.capture.redaction.key_names import Secrecy, normalize_key, secrecy_of
from sessiontrace.capture.redaction.patterns import may_contain_secret
from sessiontrace.capture.redaction.text_masks import EMAIL, MASK, mask_secrets
from sessiontrace.capture.redaction.tokens import SHORTEST_SECRET
from sessiontrace.runtime.signals import raise_if_from_signal

_DEPTH_MAX = 64
_DEPTH_IN_TEXT = 44  # where JSON inside a string begins to count: deeper strings are read as text

_NAMES = ("name", "key", "header", "field", "Name", "Key", "header_name", "k")
_VALUES = ("value", "val", "Value", "header_value", "v")
_OF_MEDIA = frozenset({"sha256", "sha256_of_head"})
_OF_LANGUAGE_MODELS = frozenset({
    "logprob", "logprobs", "top_logprobs", "prob", "probability", "token_id", "lemma", "pos",
    "entity", "ner", "special", "is_special", "offset", "offsets", "start_offset", "surprisal",
    "decoded_token", "token_logprob", "bytes", "rank", "attention", "tf", "idf", "frequency",
    "position", "score", "label", "generated_text",
})  # fmt: skip
"""Keys beside a ``token`` that is a piece of text."""
_OF_SCHEMAS = frozenset({
    "type", "title", "description", "format", "default", "enum", "const", "examples", "example",
    "minLength", "maxLength", "pattern", "anyOf", "oneOf", "allOf", "$ref", "nullable", "items",
    "properties", "required", "additionalProperties", "writeOnly", "readOnly", "deprecated", "kind",
    "scheme", "in", "name", "bearerFormat", "flows", "method", "provider", "enabled", "realm",
    "optional", "help", "label", "placeholder", "nargs", "action", "dest",
})  # fmt: skip
"""Keys that describe a parameter, such as one of a tool that is called ``password``."""
_DEFAULTS = frozenset({"default", "const", "examples", "example"})
_STATUSES = frozenset({
    "pass", "fail", "passed", "failed", "true", "false", "yes", "no", "ok", "none", "null", "skip",
    "skipped", "string", "str", "n/a", "required", "optional",
})  # fmt: skip


class Masker:
    """``keys``: more names whose values are masked. ``emails``: mask e-mail addresses too."""

    __slots__ = ("_keys", "_secrecy_of", "emails", "has_keys")

    def __init__(self, keys: Iterable[str] = (), *, emails: bool = False) -> None:
        self._keys = frozenset(map(normalize_key, keys))
        self.has_keys: bool = bool(self._keys)
        self._secrecy_of = lru_cache(maxsize=2_048)(self._secrecy) if self._keys else secrecy_of
        self.emails: bool = emails

    def has_secret(self, text: str) -> bool:
        """Whether there is a secret in a text, or it names one, whose value may be beside it."""
        if len(text) <= NAME_MAX and self.is_name(text):
            return True
        return len(text) >= SHORTEST_SECRET and self.mask_text(text) != text

    def is_name(self, text: str) -> bool:
        """Whether a text names a secret, whose value may be beside it."""
        return " " not in text and self._secrecy_of(text) is not Secrecy.NONE

    def mask_value(self, value: Any, depth: int = 0) -> Any:
        """A decoded value with every secret in it masked."""
        if isinstance(value, str):
            return self.mask_text(value, depth)
        if depth > _DEPTH_MAX:
            return MASK if isinstance(value, (dict, list)) else value
        if isinstance(value, list):
            return self._mask_items(value, depth + 1)
        if isinstance(value, dict):
            return self._mask_entries(value, depth + 1)
        return value

    def mask_text(self, text: str, depth: int = 0) -> str:
        """A text with every secret in it masked; the same text where there is none."""
        if text[:1] in {"{", "["} and depth <= _DEPTH_MAX:
            try:
                inner = orjson.loads(text)
                masked = self.mask_value(inner, _DEPTH_IN_TEXT)
                return text if masked == inner else orjson.dumps(masked).decode()
            except Exception as error:  # not JSON after all, or cut off
                raise_if_from_signal(error)
        if may_contain_secret(text):
            text = mask_secrets(text)
        return EMAIL.sub(MASK, text) if self.emails and "@" in text else text

    def _mask_entries(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        masked: dict[str, Any] = {}
        beside = self._secrecy_beside(value)
        is_linguistic = not _OF_LANGUAGE_MODELS.isdisjoint(value)
        for key, item in value.items():
            name = mask_secrets(key) if may_contain_secret(key) else key
            while name in masked:
                name += "~"
            secrecy = self._secrecy_of(key)
            if beside is not Secrecy.NONE and key in _VALUES:
                secrecy = beside
            if secrecy is Secrecy.PERHAPS and is_linguistic:
                secrecy = Secrecy.NONE
            masked[name] = self._mask_entry(item, secrecy, depth)
        return masked

    def _mask_entry(self, item: Any, secrecy: Secrecy, depth: int) -> Any:
        """The value of an entry whose key has this secrecy."""
        if secrecy is Secrecy.NONE or item is None or isinstance(item, bool):
            return self.mask_value(item, depth)
        if isinstance(item, (int, float)):
            return MASK if secrecy is Secrecy.ANY else item
        if isinstance(item, str):
            if is_reference(item) and "*" in item:
                return item
            is_status = secrecy is not Secrecy.ANY and item.lower() in _STATUSES
            is_secret = secrecy is not Secrecy.PERHAPS or _is_credential(item)
            is_secret = is_secret and not is_status
            return MASK if is_secret else self.mask_text(item, depth)
        if isinstance(item, dict) and item and _OF_SCHEMAS.issuperset(item):
            return {
                key: self._mask_entry(
                    inner, secrecy if key in _DEFAULTS else Secrecy.NONE, depth + 1
                )
                for key, inner in item.items()
            }
        if isinstance(item, dict) and not _OF_MEDIA.isdisjoint(item):
            return MASK  # a key or certificate in binary: a local store would keep its bytes
        return MASK if self._holds_secret(item, secrecy) else self.mask_value(item, depth)

    def _holds_secret(self, item: Any, secrecy: Secrecy) -> bool:
        """Whether a list or dict under a secret key has a secret in it."""
        leaves = (leaf for leaf in _leaves(item, 0) if secrecy is Secrecy.ANY or _is_text(leaf))
        return any(secrecy is not Secrecy.PERHAPS or _is_credential(leaf) for leaf in leaves)

    def _mask_items(self, items: list[Any], depth: int) -> list[Any]:
        """A list; the item behind the name of a secret is its value."""
        masked = [self.mask_value(item, depth) for item in items]
        if len(items) > 1 and all(map(_is_pair, items)):
            return [self._mask_pair(pair, item) for pair, item in zip(items, masked, strict=True)]
        for at in range(len(items) - 1):
            name = items[at]
            if not isinstance(name, str) or not self.is_name(name):
                continue
            if self._is_value(name, items[at + 1], is_pair=len(items) == 2):
                masked[at + 1] = MASK
        return masked

    def _mask_pair(self, pair: list[Any], masked: list[Any]) -> list[Any]:
        """One of several pairs of a name and a value; no word in them is a name only."""
        secrecy = self._secrecy_of(pair[0])
        return [masked[0], MASK] if secrecy >= Secrecy.TEXT and pair[1] else masked

    def _is_value(self, name: str, item: Any, *, is_pair: bool) -> bool:
        """Whether the item behind a name is the secret, rather than another name or a word."""
        secrecy = self._secrecy_of(name)
        if not isinstance(item, str):
            return is_pair and secrecy is Secrecy.ANY and type(item) is int
        if self.is_name(item):
            return False
        if is_pair and secrecy is not Secrecy.PERHAPS:
            return not is_words(item) and not is_reference(item)
        return looks_generated(item) or (name.startswith("--") and not item.startswith("-"))

    def _secrecy_beside(self, value: dict[str, Any]) -> Secrecy:
        """The secrecy of the name in ``{"name": ..., "value": ...}``."""
        if len(value) > 1 and not value.keys().isdisjoint(_VALUES):
            for key in _NAMES:
                name = value.get(key)
                if isinstance(name, str) and self.is_name(name):
                    return self._secrecy_of(name)
        return Secrecy.NONE

    def _secrecy(self, key: str) -> Secrecy:
        return Secrecy.ANY if normalize_key(key) in self._keys else secrecy_of(key)


def _leaves(item: Any, depth: int) -> Iterator[Any]:
    """The texts and numbers in a list or dict, save those that describe a piece of text."""
    if isinstance(item, list) and depth < _DEPTH_MAX:
        for inner in item:
            yield from _leaves(inner, depth + 1)
    elif isinstance(item, dict) and depth < _DEPTH_MAX:
        if _OF_LANGUAGE_MODELS.isdisjoint(item):
            for inner in item.values():
                yield from _leaves(inner, depth + 1)
    elif not isinstance(item, bool) and item is not None:
        yield item


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(part, str) for part in item)


def _is_text(leaf: Any) -> bool:
    return isinstance(leaf, str) and leaf != ""


def _is_credential(text: str) -> bool:
    """Whether a text under an ambiguous key, such as ``token`` or ``cookie``, is a secret."""
    if text.lower() in _STATUSES:
        return False
    scheme, space, value = text.partition(" ")
    if space and scheme.lower() in {"bearer", "basic", "token"}:
        return looks_generated(value)
    name, sign, value = text.partition("=")
    return looks_generated(text) or (sign != "" and value != "" and name.isidentifier())
