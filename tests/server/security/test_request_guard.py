"""Who gets an answer of the local server: each row of the table is an attack, or a user."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from sessiontrace.server.security.request_guard import HEADERS, hosts_of, is_loopback, refusal

HOSTS = hosts_of(4777)
OWN = {"Host": "127.0.0.1:4777"}
JSON = {"Content-Type": "application/json"}
API = "/api/sessions"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        # Host: a name of the attacker's that resolves to 127.0.0.1 (DNS rebinding)
        ("GET", API, OWN, None),
        ("GET", API, {"Host": "localhost:4777"}, None),
        ("GET", API, {"Host": "LOCALHOST:4777"}, None),
        ("GET", API, {"Host": "[::1]:4777"}, None),
        ("GET", API, {"Host": "evil.example:4777"}, 403),
        ("GET", "/", {"Host": "evil.example:4777"}, 403),
        ("GET", API, {"Host": "127.0.0.1"}, 403),
        ("GET", API, {"Host": "127.0.0.1:80"}, 403),
        ("GET", API, {"Host": "127.0.0.1:4777.evil.example"}, 403),
        ("GET", API, {"Host": "localhost:4777@evil.example"}, 403),
        ("GET", API, {"Host": "0.0.0.0:4777"}, 403),
        ("GET", API, {"Host": ""}, 403),
        ("GET", API, {}, 403),
        # Sec-Fetch-Site: what the browser says of where a request comes from
        ("GET", API, {**OWN, "Sec-Fetch-Site": "same-origin"}, None),
        ("GET", API, {**OWN, "Sec-Fetch-Site": "none"}, None),
        ("GET", API, {**OWN, "Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", API, {**OWN, "Sec-Fetch-Site": "same-site"}, 403),
        ("GET", API, {**OWN, "Sec-Fetch-Site": "nonsense"}, 403),
        ("HEAD", API, {**OWN, "Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", API, {**OWN, **JSON, "Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", API, {**OWN, **JSON, "Sec-Fetch-Site": "same-origin"}, None),
        # a link from elsewhere may open the page, which holds no data, and nothing else
        ("GET", "/", {**OWN, "Sec-Fetch-Site": "cross-site"}, None),
        ("GET", "/sessions/x", {**OWN, "Sec-Fetch-Site": "cross-site"}, None),
        ("POST", "/", {**OWN, **JSON, "Sec-Fetch-Site": "cross-site"}, 403),
        # Origin: browsers that say no more
        ("POST", API, {**OWN, **JSON, "Origin": "http://127.0.0.1:4777"}, None),
        ("POST", API, {**OWN, **JSON, "Origin": "https://127.0.0.1:4777"}, 403),
        ("POST", API, {**OWN, **JSON, "Origin": "http://127.0.0.1:9999"}, 403),
        ("POST", API, {**OWN, **JSON, "Origin": "http://localhost:4777"}, 403),
        ("POST", API, {**OWN, **JSON, "Origin": "http://evil.example"}, 403),
        ("POST", API, {**OWN, **JSON, "Origin": "null"}, 403),
        ("GET", API, {**OWN, "Origin": "http://evil.example"}, 403),
        # the newer header wins over the older one
        ("POST", API, {**OWN, **JSON, "Sec-Fetch-Site": "cross-site",
                       "Origin": "http://127.0.0.1:4777"}, 403),
        # bodies that a form could send without asking for leave
        ("POST", API, {**OWN, "Content-Type": "text/plain"}, 415),
        ("POST", API, {**OWN, "Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("POST", API, {**OWN, "Content-Type": "multipart/form-data; boundary=x"}, 415),
        ("POST", API, {**OWN, "Content-Type": "text/plain; application/json"}, 415),
        ("POST", API, OWN, 415),
        ("POST", API, {**OWN, "Content-Type": "Application/JSON; charset=utf-8"}, None),
        ("POST", API, {**OWN, "Content-Type": "application/x-protobuf"}, None),
        ("DELETE", API, OWN, 415),
    ],
)  # fmt: skip
def test_a_request_is_judged_by_method_and_headers(method, path, headers, status):
    """A page on another site must neither read nor write; a program on this machine may."""
    asked: web.BaseRequest = make_mocked_request(method, path, headers=headers)
    refused = refusal(method, path, asked.headers, HOSTS)
    assert (refused.status if refused else None) == status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True),
        ("127.8.8.8", True), ("0.0.0.0", False), ("::", False), ("192.168.1.4", False),
        ("example.org", False), ("", False), ("127.0.0.1.evil.example", False),
    ],
)  # fmt: skip
def test_only_loopback_is_loopback(host: str, expected: bool):
    """What decides whether the server starts at all."""
    assert is_loopback(host) is expected


def test_no_header_lets_another_site_in():
    """CORS is off by having none of it; what may run on the page comes from this server alone."""
    assert not [name for name in HEADERS if name.lower().startswith("access-control-")]
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
