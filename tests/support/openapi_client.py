"""JSON requests to a running server, each reply judged by the facts about the vendor's API.

ask = asking(server, "honeyhive", prefix="")
ask("POST", "/v1/sessions", {...})      # the decoded reply; fails when the API would not reply so
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from support.published_contracts import judge_reply
from support.server_process import Served

Ask = Callable[..., Any]


def asking(server: Served, vendor: str | None = None, prefix: str = "") -> Ask:
    """A function that asks, checks the status (200 unless said), and validates the answer."""

    def ask(method: str, path: str, given: Any = None, *, status: int = 200, **headers: str) -> Any:
        body = None if given is None else json.dumps(given).encode()
        if body is not None:
            headers.setdefault("Content_Type", "application/json")
        found, named, answered = server.request(prefix + path, method, body, **headers)
        assert found == status, (found, answered)
        if vendor is not None and status < 500:
            content_type = named.get("content-type", "application/json").partition(";")[0]
            judge_reply(vendor, method, path, body, found, content_type, answered)
        return json.loads(answered) if answered[:1] in (b"{", b"[") else answered

    return ask
