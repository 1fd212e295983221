"""Clients of Stainless SDKs over a transport without a network; httpx or its successor."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from support.own_environment import import_or_skip

__all__ = ["client_of"]

Answer = Callable[[Any], dict[str, Any]]


def client_of(name: str, library: str, answer: Answer, **options: Any) -> Any:
    """A client of class ``name``.

    ``answer(request)`` gives the arguments of the HTTP response: ``json``, ``content``, ``text``,
    ``headers``, ``status_code``.
    """
    sdk = import_or_skip(library)
    base = importlib.import_module(f"{library}._base_client")
    httpx = getattr(base, "httpx2", None) or base.httpx
    http = httpx.AsyncClient if name.startswith("Async") else httpx.Client

    def respond(request: Any) -> Any:
        return httpx.Response(**{"status_code": 200, **answer(request)})

    transport = http(transport=httpx.MockTransport(respond))
    options = {"api_key": "k", "max_retries": 0, **options}
    return getattr(sdk, name)(http_client=transport, **options)
