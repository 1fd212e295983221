"""Which project a request is for, and whether it may read: set by the guard, for each anew.

Runs on the server's loop. Invariant: both are set before anything reads them, since one connection
carries requests of several keys and aiohttp may serve them all in one context.
"""

from __future__ import annotations

from contextvars import ContextVar

from sessiontrace.store.models import DEFAULT_PROJECT

__all__ = ["MAY_READ", "PROJECT"]

PROJECT: ContextVar[str] = ContextVar("sessiontrace_project", default=DEFAULT_PROJECT)
"""The project of the request that is being answered."""

MAY_READ: ContextVar[bool] = ContextVar("sessiontrace_may_read", default=True)
"""Whether the answer may tell what was in the store before."""
