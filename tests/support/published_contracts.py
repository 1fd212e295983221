"""Judges of requests to a vendor's API and of its replies.

The facts in ``tests/contract/facts`` judge always. The vendor's own OpenAPI document judges too
where it lies beside the checkout, in ``../shared/specs``; it is not ours to distribute.

    check = judge_of("humanloop", {"X-API-KEY": "k"})
    check("POST", "/logs", body)        # raises when the API would not take it
"""

from __future__ import annotations

import functools
import json
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support import facts

SPECS = Path(__file__).resolve().parents[3] / "shared" / "specs"
DOCUMENTS = {"honeyhive": "honeyhive-openapi.yaml", "humanloop": "humanloop-v4-openapi.json"}

Check = Callable[..., None]


@functools.cache
def document_of(vendor: str) -> dict[str, Any] | None:
    """The document that the vendor published; None where it is not beside this checkout."""
    path = SPECS / DOCUMENTS[vendor]
    if not path.exists():
        return None
    if path.suffix == ".json":
        loaded: dict[str, Any] = json.loads(path.read_text())
        return loaded
    import yaml

    return dict(yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@functools.cache
def openapi_of(vendor: str) -> tuple[Any, str] | None:
    """The document as openapi-core reads it, and its base URL; None without document."""
    document = document_of(vendor)
    if document is None:
        return None
    from openapi_core import OpenAPI

    return OpenAPI.from_dict(document), str(document["servers"][0]["url"]).rstrip("/")


def judge_of(vendor: str, headers: Mapping[str, str]) -> Check:
    """A function that raises when the vendor's API would not take a request."""
    stated, openapi = facts.load(vendor), openapi_of(vendor)

    def check(method: str, path: str, body: bytes | None = None) -> None:
        stated.check_request(method, path, json.loads(body) if body else None)
        if openapi is not None:
            from openapi_core.testing import MockRequest

            api, base = openapi
            parts = urllib.parse.urlsplit(base + path)
            request = MockRequest(
                f"{parts.scheme}://{parts.netloc}",
                method.lower(),
                parts.path,
                args=dict(urllib.parse.parse_qsl(parts.query)),
                headers=dict(headers),
                data=body,
            )
            api.validate_request(request)

    return check


def judge_reply(
    vendor: str,
    method: str,
    path: str,
    request_body: bytes | None,
    status: int,
    content_type: str,
    body: bytes,
) -> None:
    """Raise when the vendor's API would not reply so; most faults (4xx) are not specified."""
    stated, openapi = facts.load(vendor), openapi_of(vendor)
    if status < 400 or stated.has_reply(method, path, status):
        stated.check_reply(method, path, status, json.loads(body) if body else None)
    if openapi is None:
        return
    from openapi_core.testing import MockRequest, MockResponse

    api, base = openapi
    parts = urllib.parse.urlsplit(base + path)
    host = f"{parts.scheme}://{parts.netloc}"
    request = MockRequest(host, method.lower(), parts.path, data=request_body)
    response = MockResponse(body, status_code=status, content_type=content_type)
    errors = list(api.iter_response_errors(request, response))
    if status >= 400:
        errors = [error for error in errors if type(error).__name__ != "ResponseNotFound"]
    assert not errors, (path, errors[0], getattr(errors[0], "__cause__", None), body)
