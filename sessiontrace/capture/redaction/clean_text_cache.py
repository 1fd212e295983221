"""Harmless: the texts in which a look found nothing to mask, so that nobody looks again.

A chat is sent again whole with each of its steps. Kept by hash only, asked from users' threads
without a lock. Invariant: ``known`` holds no text that its redactor would change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["NO_REDACTION", "CleanTextCache"]

_KNOWN_MAX = 8_192


class CleanTextCache:
    """``harmless(text)`` is the look; None where nothing is ever masked.

    ``by_shape``: the look lets everything pass of which ``may_contain_secret`` is false, so to ask
    that is enough where it costs less than the look.

    ``known``: hashes of texts. A hash is keyed by the process and has 64 bits: that a secret has
    that of another text is less likely than a bit flip. ``names``: names of spans, as they are.
    """

    __slots__ = ("_harmless", "by_shape", "known", "masks", "names")

    def __init__(self, harmless: Callable[[str], bool] | None, *, by_shape: bool = False) -> None:
        self._harmless = harmless
        self.masks = harmless is not None
        self.by_shape = by_shape
        self.known: set[int] = set()
        self.names: set[str] = set()

    def needs_masking(self, fresh: Iterable[str]) -> bool:
        """Whether something in those texts must be masked; if not they are known from now on."""
        look = self._harmless
        for text in fresh:
            if look is not None and not look(text):
                return True
            self.remember_clean(hash(text))
        return False

    def remember_clean(self, hashed: int) -> None:
        """The text of this hash is harmless."""
        if len(self.known) >= _KNOWN_MAX:
            self.known.clear()
        self.known.add(hashed)


NO_REDACTION = CleanTextCache(None)
"""For a tracer without redaction."""
