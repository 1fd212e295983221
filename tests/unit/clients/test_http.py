"""What the typed clients share: repetitions, redirects, keys, loops, closing."""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.certificates import make_authority
from support.fake_backend import Backend, answer
from support.fake_vendor_api import Api
from support.patience import patience
from support.proxy import Proxy

from sessiontrace.clients import (
    ApiError,
    ClientError,
    ForbiddenError,
    HoneyHive,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    RateLimitError,
    RequestError,
    ServerError,
    UnexpectedAnswerError,
)
from sessiontrace.clients.http import Rest, path_part
from sessiontrace.clients.model import Model, Page
from sessiontrace.model.errors import ConfigError
from sessiontrace.model.secret import Secret

KEY = "hh_very_secret_key"


class Slept(list[float]):
    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def rest(api: Api, **more: Any) -> tuple[Rest, Slept]:
    slept = Slept()
    return Rest(api.url, Secret(KEY), sleep=slept, **more), slept


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_service_is_asked_again_whatever_the_call(status: int) -> None:
    """429 and 503 say that nothing was done, so even a plain POST may be repeated."""
    async with Api() as api:
        api.answer("POST", "/x", status=status, headers={"Retry-After": "3"})
        api.answer("POST", "/x", {"fine": True})
        caller, slept = rest(api)
        answer = await caller.call("POST", "/x", body={})
        await caller.close()
    assert answer.value == {"fine": True}
    assert len(api.seen) == 2
    assert len(slept) == 1
    assert slept[0] >= 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "repeatable", "attempts"),
    [("GET", None, 3), ("PUT", None, 3), ("DELETE", None, 3), ("POST", None, 1), ("POST", True, 3)],
)
async def test_a_failing_service_is_asked_again_only_where_that_is_safe(
    method: str, repeatable: bool | None, attempts: int
) -> None:
    """500 may come after the deed: a POST that is not idempotent is sent once."""
    async with Api() as api:
        api.answer(method, "/x", {"message": "oh"}, status=500)
        caller, _ = rest(api)
        with pytest.raises(ServerError, match="HTTP 500: oh"):
            await caller.call(method, "/x", repeatable=repeatable)
        await caller.close()
    assert len(api.seen) == attempts


@pytest.mark.asyncio
async def test_a_broken_connection_is_tried_again_for_a_get_and_not_for_a_post() -> None:
    """Nobody listens there: three attempts, or one."""
    async with Api() as api:
        url = api.url
    for method, attempts in (("GET", 2), ("POST", 0)):
        slept = Slept()
        caller = Rest(url, Secret(KEY), sleep=slept)
        with pytest.raises(NoAnswerError, match="cannot connect to 127"):
            await caller.call(method, "/x")
        await caller.close()
        assert len(slept) == attempts


@pytest.mark.asyncio
async def test_a_wait_of_an_hour_is_the_callers_business() -> None:
    """Retry-After: 3600: the caller learns of it at once instead of hanging."""
    async with Api() as api:
        api.answer("GET", "/x", {"detail": "slow"}, status=429, headers={"Retry-After": "3600"})
        caller, slept = rest(api)
        with pytest.raises(RateLimitError) as caught:
            await caller.call("GET", "/x")
        await caller.close()
    assert caught.value.retry_after == 3600
    assert not slept


@pytest.mark.asyncio
async def test_no_attempt_lasts_longer_than_the_timeout() -> None:
    """A service that thinks for a minute."""
    async with Api() as api:
        api.answer("GET", "/x", {}, after=60)
        caller, _ = rest(api, timeout=0.1, retries=0)
        with pytest.raises(NoAnswerError, match=r"no answer .* within 0.1 s"):
            await caller.call("GET", "/x")
        await caller.close()


@pytest.mark.asyncio
async def test_redirects_are_not_followed() -> None:
    """307 would carry body and key to another place."""
    async with Api() as there, Api() as api:
        there.answer("POST", "/x", {})
        target = there.url.replace("//", "//user:pass@") + "/x"
        api.answer("POST", "/x", status=307, headers={"Location": target})
        caller, _ = rest(api)
        with pytest.raises(ApiError, match="redirected to") as caught:
            await caller.call("POST", "/x", body={})
        await caller.close()
    assert not there.seen
    assert "pass" not in str(caught.value)
    assert "check base_url" in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestError),
        (401, KeyRefusedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, RequestError),
        (422, RequestError),
        (418, ApiError),
        (501, ServerError),
    ],
)
async def test_each_refusal_has_its_exception(status: int, kind: type[ApiError]) -> None:
    """By status, with the service's code, words and body."""
    told = {"statusCode": status, "message": "why", "errorCode": "E7", "success": False}
    async with Api() as api:
        api.answer("POST", "/x", told, status=status)
        caller, _ = rest(api)
        with pytest.raises(kind) as caught:
            await caller.call("POST", "/x")
        await caller.close()
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, caught.value.message) == (status, "E7", "why")
    assert caught.value.body == told
    assert isinstance(caught.value, ClientError)


@pytest.mark.asyncio
async def test_the_key_is_in_no_exception_whatever_the_service_echoes() -> None:
    """Header echoed in body and Location, connection refused: no traceback holds the key."""
    async with Api() as api:
        api.answer("GET", "/echo", {"message": f"bad key {KEY}"}, status=401)
        api.answer("GET", "/far", status=302, headers={"Location": f"http://x/?k={KEY}"})
        api.answer("GET", "/text", f"<html>{KEY}".encode(), status=200)
        caller, _ = rest(api, retries=0)
        shown = [repr(caller)]
        for path in ("/echo", "/far", "/text"):
            with pytest.raises(ClientError) as caught:
                await caller.call("GET", path)
            shown.append("".join(traceback.format_exception(caught.value)))
            shown.append(str(getattr(caught.value, "body", "")))
        await caller.close()
        assert api.seen[0].headers["authorization"] == f"Bearer {KEY}"
    caller, _ = rest(api, retries=0)
    with pytest.raises(NoAnswerError) as caught_nobody:
        await caller.call("GET", "/x")
    await caller.close()
    error: BaseException | None = caught_nobody.value
    while error is not None:
        shown.append(repr(error) + str(vars(error)))
        error = error.__cause__ or error.__context__
    assert KEY not in "".join(shown)


@pytest.mark.asyncio
async def test_a_page_where_json_should_be_is_an_unexpected_answer() -> None:
    """A captive portal says 200 with HTML."""
    async with Api() as api:
        api.answer("GET", "/x", b"<html>Log in</html>", headers={"Content-Type": "text/html"})
        caller, _ = rest(api)
        with pytest.raises(UnexpectedAnswerError, match=r"not JSON .*check base_url"):
            await caller.call("GET", "/x")
        await caller.close()


@pytest.mark.asyncio
async def test_one_client_uses_one_pool() -> None:
    """Ten calls, one after the other: one connection."""
    async with Api() as api:
        api.answer("GET", "/x", {})
        caller, _ = rest(api)
        for _ in range(10):
            await caller.call("GET", "/x")
        await caller.close()
    assert len(api.peers) == 1


def test_a_client_works_in_one_loop_after_the_other_and_leaves_nothing_behind() -> None:
    """asyncio.run three times with the same client and no closing: no warning, no open socket."""
    ready, stop = threading.Event(), threading.Event()
    api = Api()

    async def serve() -> None:
        async with api:
            api.answer("GET", "/x", {"n": 1})
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    ready.wait(patience(10))
    caller = Rest(api.url, Secret(KEY))

    async def work() -> Any:
        return (await caller.call("GET", "/x")).value

    try:
        assert [asyncio.run(work()) for _ in range(3)] == [{"n": 1}] * 3
        gc.collect()  # an unclosed transport would warn here, and warnings are errors
        asyncio.run(caller.close())
    finally:
        stop.set()
        server.join()
    assert len(api.peers) == 3


def test_a_client_used_by_two_loops_at_once_is_closed_in_both() -> None:
    """Each loop has its own pool; closing in one closes the other's too."""
    ready, stop, used = threading.Event(), threading.Event(), threading.Event()
    api = Api()

    async def serve() -> None:
        async with api:
            api.answer("GET", "/x", {})
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    ready.wait(patience(10))
    caller = Rest(api.url, Secret(KEY))

    async def other() -> str:
        await caller.call("GET", "/x")
        used.set()
        for _ in range(500):
            await asyncio.sleep(0.01)
            try:
                await caller.call("GET", "/x")
            except ClientError as error:
                return str(error)
        return "never closed"

    found: list[str] = []
    beside = threading.Thread(target=lambda: found.append(asyncio.run(other())))
    beside.start()
    try:
        used.wait(patience(10))

        async def here() -> None:
            await caller.call("GET", "/x")
            await caller.close()

        asyncio.run(here())
        beside.join(patience(10))
    finally:
        stop.set()
        server.join()
    assert found == ["this client is closed; make a new one"] or "broke" in found[0]


def test_on_trio_the_error_says_what_to_do() -> None:
    """The clients are asyncio's; a trio program learns how to call them."""
    trio = pytest.importorskip("trio")
    caller = Rest("http://127.0.0.1:1", Secret(KEY))

    async def work() -> None:
        with pytest.raises(ClientError, match=r"trio\.to_thread\.run_sync\(asyncio\.run"):
            await caller.call("GET", "/x")

    trio.run(work)


@pytest.mark.asyncio
async def test_after_closing_a_client_says_that_it_is_closed() -> None:
    """Closing twice is fine."""
    async with Api() as api:
        api.answer("GET", "/x", {})
        caller, _ = rest(api)
        await caller.call("GET", "/x")
        await caller.close()
        await caller.close()
        with pytest.raises(ClientError, match="closed"):
            await caller.call("GET", "/x")


@pytest.mark.asyncio
async def test_calls_go_through_the_proxy_where_one_is_given() -> None:
    """The proxy sees the whole URL."""
    async with Api() as proxy:
        proxy.answer("GET", "http://service.invalid/x", {"by": "proxy"})
        caller = Rest("http://service.invalid", Secret(KEY), proxy=proxy.url)
        answer = await caller.call("GET", "/x")
        await caller.close()
    assert answer.value == {"by": "proxy"}


@pytest.mark.asyncio
async def test_an_untrusted_certificate_is_refused_and_a_ca_file_trusted(tmp_path: Path) -> None:
    """Verification is never off; a file of certificates is how a private one is trusted."""
    pem = tmp_path / "cert.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {pem}.key"
    try:
        subprocess.run(
            ["openssl", *words.split(), "-addext", "subjectAltName=DNS:localhost", "-out", pem],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("the openssl program is not there to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, f"{pem}.key")

    async def fine(request: web.Request) -> web.Response:
        return web.json_response({"tls": True})

    app = web.Application()
    app.router.add_get("/x", fine)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
    url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        caller = Rest(url, Secret(KEY), retries=0)
        with pytest.raises(NoAnswerError, match="ca_file"):
            await caller.call("GET", "/x")
        await caller.close()
        caller = Rest(url, Secret(KEY), ca_file=pem)
        assert (await caller.call("GET", "/x")).value == {"tls": True}
        await caller.close()
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
async def test_a_client_goes_through_the_environments_proxy_with_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONNECT with a password, a private authority, mutual TLS. The proxy sees no key, the backend
    no password.
    """
    authority = make_authority(tmp_path)
    with Backend(
        lambda request: answer(200, {"tls": True}), tls=authority.strict_server
    ) as backend:
        with Proxy({"backend.invalid": backend.port}, "me:hidden") as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:hidden@127.0.0.1:{proxy.port}")
            monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
            caller = Rest(
                "https://backend.invalid",
                Secret(KEY),
                client_cert=authority.cert,
                client_key=authority.key,
            )
            for _ in range(2):
                assert (await caller.call("GET", "/x")).value == {"tls": True}
            await caller.close()
            assert KEY not in "".join(proxy.heads)
            assert len(proxy.targets) == 1
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong@127.0.0.1:{proxy.port}")
            caller = Rest("https://backend.invalid", Secret(KEY), retries=0)
            with pytest.raises(NoAnswerError, match="407"):
                await caller.call("GET", "/x")
            await caller.close()
        assert not any("proxy-authorization" in request.headers for request in backend.requests)


def test_what_cannot_work_is_refused_when_the_client_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key, a foreign http:// address, a missing file, a proxy that is none."""
    monkeypatch.delenv("HH_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="HH_API_KEY"):
        HoneyHive()
    with pytest.raises(ConfigError, match="in the clear"):
        HoneyHive("k", "http://example.org")
    HoneyHive("k", "http://example.org", allow_insecure=True)
    with pytest.raises(ConfigError, match="ca_file"):
        HoneyHive("k", ca_file=tmp_path / "none.pem")
    with pytest.raises(ConfigError, match="proxy"):
        HoneyHive("k", proxy="nonsense")


def test_ids_cannot_leave_their_part_of_the_path() -> None:
    """A slash, a question mark or dots in an id are quoted or refused."""
    assert path_part("a/b?c#d e") == "a%2Fb%3Fc%23d%20e"
    for wrong in ("", "..", "."):
        with pytest.raises(ValueError, match="id"):
            path_part(wrong)


class _Thing(Model):
    pass


def test_paging_knows_its_ends() -> None:
    """25 items of 10: three pages, whether they count from 0 or 1."""

    async def turn(at: int) -> Page[_Thing]:
        raise AssertionError

    for first in (0, 1):
        pages = [
            Page(data=(), page=first + n, size=10, total=25, first=first, turn=turn)
            for n in range(3)
        ]
        assert [one.has_next for one in pages] == [True, True, False]
        assert [one.has_previous for one in pages] == [False, True, True]
