"""JSON requests to a running server, each answer judged by the vendor's own document.

ask = asking(server, "honeyhive-openapi.yaml", prefix="")
ask("POST", "/v1/sessions", {...})      # the decoded answer; fails when the document forbids it
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from support import published_contracts
from support.server_process import Served

Ask = Callable[..., Any]


def asking(server: Served, document: str | None = None, prefix: str = "") -> Ask:
    """A function that asks, checks the status (200 unless said), and validates the answer."""

    def ask(method: str, path: str, given: Any = None, *, status: int = 200, **headers: str) -> Any:
        body = None if given is None else json.dumps(given).encode()
        if body is not None:
            headers.setdefault("Content_Type", "application/json")
        found, named, answered = server.request(prefix + path, method, body, **headers)
        assert found == status, (found, answered)
        if document is not None and status < 500:
            _judge(document, method, path, body, found, named, answered)
        return json.loads(answered) if answered[:1] in (b"{", b"[") else answered

    return ask


def _judge(
    document: str,
    method: str,
    path: str,
    body: bytes | None,
    status: int,
    headers: Any,
    answered: bytes,
) -> None:
    pytest.importorskip("openapi_core", reason="needs openapi-core")
    from openapi_core.testing import MockRequest, MockResponse

    api, base = published_contracts._document(document)
    parts = urllib.parse.urlsplit(base + path)
    request = MockRequest(f"{parts.scheme}://{parts.netloc}", method.lower(), parts.path, data=body)
    response = MockResponse(
        answered,
        status_code=status,
        content_type=headers.get("content-type", "application/json").partition(";")[0],
    )
    errors = list(api.iter_response_errors(request, response))
    if status >= 400:  # the documents leave most faults out
        errors = [one for one in errors if type(one).__name__ != "ResponseNotFound"]
    assert not errors, (path, errors[0], getattr(errors[0], "__cause__", None), answered)
