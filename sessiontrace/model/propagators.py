"""Which headers carry a trace to other processes, by OpenTelemetry's names for them.

Pure values, no thread owns them. Source: OTel's specification of ``OTEL_PROPAGATORS``. Invariant: a
name that sessiontrace does not support is reported, not ignored.
"""

from __future__ import annotations

from typing import Any

__all__ = ["PROPAGATORS", "parse_propagators", "propagators_of_otel"]

PROPAGATORS = frozenset({"tracecontext", "baggage"})
"""All that are supported, which is the default: ``traceparent`` and ``tracestate``; ``baggage``."""

_NONE = "none"


def parse_propagators(raw: Any, name: str) -> frozenset[str]:
    """The propagators in a list or a text with commas; ``ValueError`` for any other name."""
    names = _names(raw) if isinstance(raw, str) else set(raw)
    if names - PROPAGATORS - {_NONE} or (len(names) > 1 and _NONE in names):
        raise ValueError("must be names of 'tracecontext' and 'baggage', or 'none'")
    return frozenset(names - {_NONE})


def propagators_of_otel(text: str) -> tuple[frozenset[str], str]:
    """The supported propagators in ``OTEL_PROPAGATORS``, and what is wrong with the others."""
    names = _names(text)
    unknown = ", ".join(sorted(names - PROPAGATORS - {_NONE}))
    fault = (
        f"OTEL_PROPAGATORS names {unknown[:80]}, which sessiontrace neither writes nor reads; it "
        "supports tracecontext, baggage and none. SESSIONTRACE_PROPAGATORS or propagators= counts "
        "instead"
    )
    return frozenset(names & PROPAGATORS), fault if unknown else ""


def _names(text: str) -> set[str]:
    return {part.strip().lower() for part in text.split(",") if part.strip()}
