"""Langfuse's ids of traces and observations as the ids of a trace and its spans.

Pure functions, no thread owns them. Invariant: the ids that Langfuse's SDKs write over OTLP stay as
they are, so that a score finds the span it rates; any other text gives an id of its own.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["observation_span", "trace_of", "trace_span"]

_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")


def trace_of(trace_id: str) -> str:
    """The trace id, of 32 hex digits; a UUID is one."""
    plain = trace_id.lower().replace("-", "")
    return plain if _TRACE.fullmatch(plain) else _digest(trace_id, 16)


def observation_span(observation_id: str) -> str:
    """The span id of an observation, of 16 hex digits."""
    plain = observation_id.lower()
    return plain if _SPAN.fullmatch(plain) else _digest(observation_id, 8)


def trace_span(trace_id: str) -> str:
    """The span id of a trace itself, which Langfuse's earlier API describes like an observation."""
    return _digest(f"trace {trace_id}", 8)


def _digest(text: str, size: int) -> str:
    encoded = text.encode(errors="surrogatepass")
    return hashlib.blake2b(encoded, digest_size=size, person=b"langfuse").hexdigest()
