"""The project of a request, and what the request may do.

Runs on the server's loop. Invariant: the guard sets each for every request, because one connection
carries requests of several keys and aiohttp may serve them all in one context.
"""

from __future__ import annotations

from contextvars import ContextVar

from sessiontrace.store.models import DEFAULT_PROJECT

__all__ = ["KEY_NAME", "MAY_READ", "MAY_SCORE", "PROJECT"]

PROJECT: ContextVar[str] = ContextVar("sessiontrace_project", default=DEFAULT_PROJECT)
"""The project of the current request."""

MAY_READ: ContextVar[bool] = ContextVar("sessiontrace_may_read", default=True)
"""Whether the response may show what the store had before the request."""

MAY_SCORE: ContextVar[bool] = ContextVar("sessiontrace_may_score", default=True)
"""Whether the sender may judge what is stored, which takes a key that may both ingest and read."""

KEY_NAME: ContextVar[str] = ContextVar("sessiontrace_key_name", default="")
"""The name of the API key that the request shows; empty where the server asks for none."""
