"""Cache of keys and texts already scanned and found free of secrets.

Each step of an agent sends the whole chat again, under the same keys; only what is new is scanned.
Users' threads read and write the cache without a lock: a lost entry costs one more scan. Invariant:
``CLEAN_KEYS`` holds no key that names a secret for any redactor of this process, and a
``CleanTextCache`` no text that its redactor would change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sessiontrace.capture.redaction.key_names import MAY_NAME_SECRET, names_secret, normalize_key
from sessiontrace.capture.redaction.patterns import may_contain_secret
from sessiontrace.capture.redaction.tokens import SHORTEST_SECRET

if TYPE_CHECKING:
    from sessiontrace.capture.redaction.masker import Masker

CLEAN_KEYS: set[object] = set()
"""Keys found clean, of the whole process, so that a dict with the usual keys costs one check."""

KEY_MAX = 64
"""Characters of the longest key that may be remembered."""

_CLEAN_KEYS_MAX = 4_096
_CLEAN_TEXTS_MAX = 8_192

_secret_keys: set[str] = set()  # normalized; masked by some redactor beside the default ones


def add_secret_keys(names: Iterable[str]) -> None:
    """Treat these keys as names of secrets too, in the whole process."""
    _secret_keys.update(map(normalize_key, names))
    CLEAN_KEYS.clear()


def all_keys_clean(keys: Iterable[object]) -> bool:
    """Whether all of the keys are texts without a secret; clean keys are remembered."""
    for key in list(keys):
        if key in CLEAN_KEYS:
            continue
        if type(key) is not str or len(key) > KEY_MAX:
            return False  # scanned each time
        if MAY_NAME_SECRET.search(key) is not None and names_secret(key):
            return False
        if _secret_keys and normalize_key(key) in _secret_keys:
            return False
        if len(key) >= SHORTEST_SECRET and may_contain_secret(key) and _is_changed(key):
            return False
        if len(CLEAN_KEYS) >= _CLEAN_KEYS_MAX:
            CLEAN_KEYS.clear()
        CLEAN_KEYS.add(key)
    return True


def _is_changed(key: str) -> bool:
    # Imported here, for a key that looks like a secret: a program that only imports does not mask.
    from sessiontrace.capture.redaction.text_masks import mask_secrets

    return mask_secrets(key) != key


class CleanTextCache:
    """The texts of one redactor that were scanned and need no masking.

    ``masker`` masks texts; None where nothing is masked. ``always``: every text needs masking,
    because functions of the user's see every record.

    ``hashes`` are those of the clean texts. A hash is keyed by the process and has 64 bits: two
    texts share one less often than a bit flips. ``span_names`` are clean names of spans, as they
    are. ``masks`` is False where nothing is masked; ``scan_suffices`` is True where a text is clean
    as soon as ``may_contain_secret`` is false of it.
    """

    __slots__ = ("_always", "_masker", "hashes", "masks", "scan_suffices", "span_names")

    def __init__(self, masker: Masker | None, *, always: bool = False) -> None:
        self._masker = masker
        self._always = always
        self.masks: bool = masker is not None
        self.scan_suffices: bool = masker is not None and not (
            masker.emails or masker.has_keys or always
        )
        self.hashes: set[int] = set()
        self.span_names: set[str] = set()

    def needs_masking(self, fresh: Iterable[str | dict[Any, Any]]) -> bool:
        """Whether one of these texts, or a key of one of these dicts, must be masked.

        Clean texts and keys are remembered. In one frame, because every new text comes here.
        """
        masker = self._masker
        for text in fresh:
            if isinstance(text, dict):
                if not all_keys_clean(text):
                    return True
                continue
            if self._always:
                return True
            if (
                masker is not None
                and (may_contain_secret(text) or masker.has_keys or (masker.emails and "@" in text))
                and masker.has_secret(text)
            ):
                return True
            if len(self.hashes) >= _CLEAN_TEXTS_MAX:
                self.hashes.clear()
            self.hashes.add(hash(text))
        return False

    def remember_clean(self, text_hash: int) -> None:
        """The text with this hash needs no masking: the compiled form has scanned it itself."""
        if len(self.hashes) >= _CLEAN_TEXTS_MAX:
            self.hashes.clear()
        self.hashes.add(text_hash)


NO_REDACTION = CleanTextCache(None)
"""For a tracer without redaction."""
