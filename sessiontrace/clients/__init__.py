"""Typed async clients of the vendors' APIs: ``sessiontrace.clients.HoneyHive`` and its siblings.

The names live here; each is documented where it is defined. Importing this loads aiohttp, which
``import sessiontrace`` does not. Used in the user's event loop (asyncio). Invariant: a closed
client, and one whose loop ended, leaves no connection open and causes no warning.
"""

from __future__ import annotations

from sessiontrace.clients.errors import (
    ApiError,
    ClientError,
    FieldFault,
    ForbiddenError,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    RateLimitError,
    RequestError,
    ServerError,
    UnexpectedAnswerError,
    ValidationError,
)
from sessiontrace.clients.honeyhive import Filter, HoneyHive
from sessiontrace.clients.humanloop import Humanloop
from sessiontrace.clients.model import Listing, Page
from sessiontrace.clients.posthog import EmptyAnswerWarning, PostHog

__all__ = [
    "ApiError",
    "ClientError",
    "EmptyAnswerWarning",
    "FieldFault",
    "Filter",
    "ForbiddenError",
    "HoneyHive",
    "Humanloop",
    "KeyRefusedError",
    "Listing",
    "NoAnswerError",
    "NotFoundError",
    "Page",
    "PostHog",
    "RateLimitError",
    "RequestError",
    "ServerError",
    "UnexpectedAnswerError",
    "ValidationError",
]
