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

    def ask(method: str, path: str, value: Any = None, *, status: int = 200, **headers: str) -> Any:
        body = None if value is None else json.dumps(value).encode()
        if body is not None:
            headers.setdefault("Content_Type", "application/json")
        answered_status, reply_headers, reply = server.request(
            prefix + path, method, body, **headers
        )
        assert answered_status == status, (answered_status, reply)
        if vendor is not None and status < 500:
            content_type = reply_headers.get("content-type", "application/json").partition(";")[0]
            judge_reply(vendor, method, path, body, answered_status, content_type, reply)
        return json.loads(reply) if reply[:1] in (b"{", b"[") else reply

    return ask
