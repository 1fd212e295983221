"""The vendors' own OpenAPI documents as judges of requests; tests skip where they are absent.

check = judge_of("humanloop-v4-openapi.json")
check("POST", "/logs", body)        # raises when the document does not allow it
"""

from __future__ import annotations

import functools
import json
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

SPECS = Path(__file__).resolve().parents[3] / "shared" / "specs"

Check = Callable[..., None]


@functools.cache
def _document(name: str) -> Any:
    pytest.importorskip("openapi_core", reason="needs openapi-core")
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    from openapi_core import OpenAPI

    if path.suffix == ".json":
        document = json.loads(path.read_text())
    else:
        import yaml

        document = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return OpenAPI.from_dict(document), _base(document)


def _base(document: Mapping[str, Any]) -> str:
    return str(document["servers"][0]["url"]).rstrip("/")


def judge_where_there(name: str, headers: Mapping[str, str]) -> Check | None:
    """The same, or None where the document is absent: the rest of a test still tells something."""
    try:
        return judge_of(name, headers)
    except pytest.skip.Exception:
        return None


def judge_of(name: str, headers: Mapping[str, str]) -> Check:
    """A function that raises when the document does not allow a request."""
    api, base = _document(name)
    from openapi_core.testing import MockRequest

    def check(method: str, path: str, body: bytes | None = None) -> None:
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
