"""The terms of a query: what a parsed text is, and what stores compile.

Pure values, no thread owns them. Invariant: values are checked: numbers are finite, times are Unix
ms, durations ms, and texts are not empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

__all__ = ["Bound", "Pattern", "Term", "terms_of_time"]


@attrs.frozen
class Pattern:
    """A text to compare with, in any case; with ``wildcard``, "*" in it is any text."""

    text: str
    wildcard: bool = False

    @property
    def anything(self) -> bool:
        """Whether every text fits that is not empty."""
        return self.wildcard and not self.text.strip("*")

    def like(self) -> str:
        """The pattern for LIKE, with a backslash as its escape character."""
        escaped = self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return escaped.replace("*", "%") if self.wildcard else escaped


@attrs.frozen
class Bound:
    """A comparison with a number: ``operator`` is "=", ">", ">=", "<" or "<="."""

    operator: str
    number: float


@attrs.frozen
class Term:
    """One condition on a session.

    ``field`` is a key of the table of fields, or one that no query writes: "text" for free text,
    "active" for the time of the last activity, "failed" for an error of the session or of a step,
    "among" for whole ids. ``name`` is what follows its dot. A session fits when one of the
    ``patterns`` fits, all of the ``bounds`` hold, and, without both, when it has any such value.
    ``negated`` turns that round.
    """

    field: str
    name: str = ""
    patterns: Sequence[Pattern] = ()
    bounds: Sequence[Bound] = ()
    negated: bool = False


def terms_of_time(since: int | None, until: int | None) -> tuple[Term, ...]:
    """Terms for sessions that were last active from ``since`` until before ``until`` (Unix ms)."""
    terms = []
    if since is not None:
        terms.append(Term("active", bounds=(Bound(">=", since),)))
    if until is not None:
        terms.append(Term("active", bounds=(Bound("<", until),)))
    return tuple(terms)
