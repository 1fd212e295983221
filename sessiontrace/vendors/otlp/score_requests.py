"""The extension point of an OTLP exporter for scores: where a backend takes them, and how.

Values; no thread owns them. Invariant: a score that a span carries too is never a reason to reject
or to hold back its record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sessiontrace.export.protocol import Outcome, Reply, Request
from sessiontrace.wire.logs.log_record import LogRecord
from sessiontrace.wire.span_writer import Span

__all__ = ["ScoreRequests", "Scores"]

Scores = Sequence[tuple[int, LogRecord]]
"""Scores as the conventions' events, each with the index of its record."""


class ScoreRequests(Protocol):
    """The requests of one exporter that carry scores.

    ``takes_late_scores``: a late score goes there alone, and the traces get no span of it.
    """

    @property
    def takes_late_scores(self) -> bool: ...

    def learn(self, root: Span) -> None:
        """Remember the trace of a session or turn, whose root span this is.

        Called where late scores go there alone.
        """

    def requests(self, scores: Scores) -> Iterator[Request]:
        """Requests for scores that spans of the batch carry as attributes too."""

    def late_requests(self, scores: Scores) -> Iterator[Request]:
        """Requests for late scores, where those go there alone."""

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """What a reply to one of these requests means."""
