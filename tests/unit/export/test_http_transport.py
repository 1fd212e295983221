"""The HTTP transport against a backend that does everything wrong; real sockets throughout."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import re
import ssl
import subprocess
import time
import traceback
import zlib
from collections import deque
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.certificates import make_authority
from support.fake_backend import (
    Backend,
    answer,
    close,
    drip,
    read,
    read_request,
    reset,
    send,
    stall,
)
from support.patience import patience

from sessiontrace.export import http_transport
from sessiontrace.export.http_transport import HttpTransport
from sessiontrace.export.protocol import Reply, Request, Retry, UntrustedError, judge_http
from sessiontrace.model.network import Network
from sessiontrace.model.secret import Secret

pytestmark = pytest.mark.asyncio

KEY = "hh_0123456789abcdef"
SMALL = Request("POST", "/v1/things", b'{"a":1}', (0,))


async def exchange(
    backend: Backend, request: Request = SMALL, *, url: str | None = None, **options: Any
) -> Reply:
    transport = HttpTransport(url or backend.url, Secret(KEY), **options)
    try:
        return await transport.send(request, [])
    finally:
        await transport.close()


async def test_a_request_goes_out_as_it_should() -> None:
    """Method, path, body, the three headers that matter, and the reply with lower-case names."""
    with Backend(lambda request: answer(201, b"yes", headers={"X-Thing": "1"})) as backend:
        reply = await exchange(backend)
    (seen,) = backend.requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/things", SMALL.body)
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"].startswith("sessiontrace/")
    assert (reply.status, reply.body, reply.headers["x-thing"]) == (201, b"yes", "1")


async def test_a_base_url_may_have_a_path() -> None:
    """Behind a gateway the API lives below a prefix."""
    with Backend() as backend:
        await exchange(backend, url=f"{backend.url}/gateway/")
    assert backend.requests[0].path == "/gateway/v1/things"


@pytest.mark.parametrize("size", [100_000, 1 << 20, 6 << 20])
async def test_large_bodies_arrive_whole_with_their_length(size: int) -> None:
    """No chunked upload, which some servers refuse, and no warning about large bytes either."""
    with Backend() as backend:
        body = bytes(range(256)) * (size // 256)
        await exchange(backend, Request("POST", "/", body, (0,)))
    assert backend.requests[0].body == body
    assert backend.requests[0].headers["content-length"] == str(len(body))


async def test_connections_are_kept_and_used_again() -> None:
    """Twenty requests one after the other take one connection."""
    with Backend() as backend:
        transport = HttpTransport(backend.url)
        for _ in range(20):
            await transport.send(SMALL, [])
        await transport.close()
        assert backend.connections == 1


async def test_aiohttp_still_has_what_the_connector_overrides() -> None:
    """aiohttp has no option for the order of idle connections, so private methods are overridden.

    Where this fails, aiohttp changed them: adapt ``_RotatingConnector``. Until then the transport
    falls back to aiohttp's own connector.
    """
    connector = aiohttp.TCPConnector()
    try:
        for name in ("_release", "_create_connection"):
            assert inspect.isroutine(getattr(connector, name, None)), f"aiohttp lacks {name}"
        assert isinstance(getattr(connector, "_conns", None), dict), "aiohttp lacks _conns"
        assert connector._conns.default_factory is deque, "_conns no longer holds deques"
    finally:
        await connector.close()
    assert http_transport._connector_class() is http_transport._RotatingConnector


async def test_a_connection_reads_64_kib_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio's 256 KiB are allocated anew for every answer."""
    sizes: list[int] = []

    class Recording(http_transport._RotatingConnector):
        def _release(self, key: Any, protocol: Any, **options: Any) -> None:
            sizes.append(protocol.transport.max_size)
            super()._release(key, protocol, **options)

    monkeypatch.setattr(http_transport, "_connector_class", lambda: Recording)
    with Backend() as backend:
        await exchange(backend)
    assert sizes == [1 << 16]


async def test_without_those_methods_aiohttps_own_connector_sends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later aiohttp: requests go out and connections are reused, in aiohttp's order."""

    class Plain(aiohttp.TCPConnector):
        _create_connection = None

    assert http_transport._connector_class(Plain) is Plain
    monkeypatch.setattr(http_transport, "_connector_class", lambda: aiohttp.TCPConnector)
    with Backend() as backend:
        transport = HttpTransport(backend.url)
        for _ in range(2):
            assert (await transport.send(SMALL, ())).status == 200
        await transport.close()
        assert backend.connections == 1


async def test_the_connections_of_a_burst_go_idle() -> None:
    """What follows comes over one of them: the others are closed when they were idle for long."""
    with Backend(latency=0.05) as backend:
        transport = HttpTransport(backend.url)
        await asyncio.gather(*(transport.send(SMALL, []) for _ in range(8)))
        assert backend.connections == 8
        for _ in range(8):
            await transport.send(SMALL, [])
        await transport.close()
        assert len({seen.connection for seen in backend.requests[8:]}) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_C16_redirects_are_not_followed(status: int) -> None:
    """Following one would carry records and key to another host. Nobody there hears of us."""
    with Backend() as other:
        location = {"Location": f"{other.url}/elsewhere"}
        with Backend(lambda request: answer(status, headers=location)) as backend:
            reply = await exchange(backend)
        assert reply.status == status
        assert not other.requests
        assert other.connections == 0


async def test_C21_proxies_of_the_environment_are_not_used_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No proxy can reach a backend on this machine, and it must not see its key."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Backend() as backend:
        assert (await exchange(backend)).status == 200


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([stall(30)], id="accepts and never reads"),
        pytest.param([read_request(), stall(30)], id="never answers"),
        pytest.param([read_request(), drip(b"HTTP/1.1 200 OK\r\n" * 99, 0.02)], id="slow headers"),
        pytest.param(
            [read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
             drip(b"x" * 9999, 0.02)],
            id="slow body",
        ),
    ],
)  # fmt: skip
async def test_C02_C03_every_attempt_ends_at_its_total_timeout(script: list[Any]) -> None:
    """However slowly the other side moves, and although it does move all the time."""
    with Backend() as backend:
        backend.scripts.append(script)
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="no answer in time"):
            await exchange(backend, total=0.4)
        assert time.monotonic() - begun < 2


async def test_C04_an_upload_that_nobody_reads_ends_too() -> None:
    """The peer stops reading in the middle of 20 MB: its buffers fill up and nothing moves."""
    with Backend() as backend:
        backend.scripts.append([read(1000), stall(30)])
        begun = time.monotonic()
        request = Request("POST", "/", bytes(20 << 20), (0,))
        with pytest.raises(TimeoutError):
            await exchange(backend, request, total=0.2, per_mebi=0.01)
        assert 0.4 < time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([reset()], id="reset before the request"),
        pytest.param([read(10), reset()], id="reset within the request"),
        pytest.param([read_request(), reset()], id="reset instead of an answer"),
        pytest.param([read_request(), close()], id="closed instead of an answer"),
        pytest.param([read_request(), send(b"HTTP/1.1 200 OK\r\n"), close()], id="half a head"),
        pytest.param(
            [read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"), close()],
            id="half a body",
        ),
        pytest.param(
            [read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"), reset()],
            id="reset within the body",
        ),
        pytest.param([read_request(), send(b"\x00\xffSSH-2.0-thing\r\n\r\n")], id="garbage"),
        pytest.param([read_request(), send(b"\x15\x03\x03\x00\x02\x02\x46")], id="a TLS alert"),
        pytest.param(
            [read_request(), send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")],
            id="a garbled chunk",
        ),
    ],
)
async def test_C05_C06_C07_an_answer_that_is_none_is_an_error_and_never_a_status(
    script: list[Any],
) -> None:
    """aiohttp calls some of these a 400, which would send good records to the dead letters."""
    with Backend() as backend:
        backend.scripts.append([*script, stall(5)])
        with pytest.raises(OSError, match=r"\w") as caught:
            await exchange(backend, total=5.0)
    assert not isinstance(caught.value, (UntrustedError, TimeoutError))
    assert len(backend.requests) <= 1


async def test_C01_nobody_listens() -> None:
    """Refused, and the text says where."""
    with Backend() as backend:
        backend.down()
        with pytest.raises(OSError, match=re.escape(f"127.0.0.1:{backend.port}")):
            await exchange(backend)


async def test_C01_no_such_host() -> None:
    """A name that cannot be resolved is an outage like any other."""
    with pytest.raises(OSError, match="no address"):
        await exchange(None, url="http://no-such-host.invalid")  # type: ignore[arg-type]


async def test_C08_an_endless_answer_is_cut_at_64_kib_and_the_connection_closed() -> None:
    """The status counts; the rest is not read, and that connection is not used again."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Backend() as backend:
        backend.scripts.append(
            [read_request(), send(head), *[send(b"1000\r\n" + b"x" * 4096 + b"\r\n")] * 500]
        )
        transport = HttpTransport(backend.url)
        reply = await transport.send(SMALL, [])
        assert reply.status == 200
        assert len(reply.body) == 64 << 10
        await transport.send(SMALL, [])
        assert backend.connections == 2
        await transport.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_C08_a_compression_bomb_is_cut_as_well(encoding: str) -> None:
    """64 KiB decoded, not 64 KiB that become 50 MB."""
    content = b"0" * (50 << 20)
    bomb = gzip.compress(content) if encoding == "gzip" else zlib.compress(content)
    with Backend(lambda request: answer(200, bomb, headers={"Content-Encoding": encoding})) as b:
        try:
            reply = await exchange(b)
        except OSError:
            return  # refused outright by aiohttp: as good
    assert len(reply.body) == 64 << 10


async def test_C20_a_connection_closed_just_as_we_use_it_is_no_failure() -> None:
    """Keep-alive ran out over there. The request is repeated at once on a new connection."""
    with Backend() as backend:
        transport = HttpTransport(backend.url)
        backend.scripts.append([read_request(), *answer(200), read_request(), close()])
        await transport.send(SMALL, [])
        reply = await transport.send(SMALL, [])
        assert reply.status == 200
        assert backend.connections == 2
        await transport.close()


async def test_a_connection_closed_twice_is_one() -> None:
    """Only the first time, and only on a connection that was used before."""
    with Backend() as backend:
        transport = HttpTransport(backend.url)
        backend.scripts.append([read_request(), *answer(200), read_request(), close()])
        backend.scripts.append([read_request(), close()])
        await transport.send(SMALL, [])
        with pytest.raises(OSError, match="without an answer"):
            await transport.send(SMALL, [])
        assert len(backend.requests) == 3
        await transport.close()


async def test_the_key_is_shown_nowhere() -> None:
    """Not in repr, not in any exception or what it drags along, and not where a backend echoes it
    in a header or body."""
    echo = answer(403, f'{{"message":"bad key {KEY}"}}'.encode(), headers={"X-Key": KEY})
    with Backend(lambda request: echo) as backend:
        reply = await exchange(backend)
        assert "***" in reply.body.decode()
        assert KEY not in repr(reply)
    for script in ([reset()], [read_request(), send(b"garbage\r\n\r\n"), close()], [stall(9)]):
        with Backend() as backend:
            backend.scripts.append(script)
            transport = HttpTransport(backend.url, Secret(KEY), total=0.3)
            assert KEY not in repr(transport)
            with pytest.raises(OSError, match=r".") as caught:
                await transport.send(SMALL, [])
            await transport.close()
        seen: list[BaseException] = [caught.value]
        while following := seen[-1].__context__ or seen[-1].__cause__:
            seen.append(following)
        for error in seen:
            assert KEY not in repr(error)
            assert KEY not in "".join(traceback.format_exception(error))
            assert KEY not in repr(getattr(error, "request_info", ""))


async def test_a_date_in_retry_after_is_measured_by_the_servers_own_clock() -> None:
    """Our clock may be years off; the reply says what time it is over there."""
    headers = {
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
        "Retry-After": "Wed, 21 Oct 2015 07:29:30 GMT",
    }
    with Backend(lambda request: answer(503, headers=headers)) as backend:
        assert judge_http(await exchange(backend)) == Retry("HTTP 503", 90.0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    folder = tmp_path_factory.mktemp("tls")
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
            check=True, capture_output=True, timeout=patience(30),
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("the openssl program is not there to make a certificate")
    return folder


def tls_server(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_C22_a_certificate_nobody_vouches_for_is_not_trusted(certificate: Path) -> None:
    """And nothing is sent: not the records, not the key."""
    with Backend(tls=tls_server(certificate)) as backend:
        with pytest.raises(UntrustedError, match=r"certificate of 127\.0\.0\.1"):
            await exchange(backend)
        assert not backend.requests


async def test_C22_a_certificate_for_another_host_is_not_trusted(certificate: Path) -> None:
    """Vouched for, but not for `localhost`."""
    context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    with Backend(tls=tls_server(certificate)) as backend:
        assert (await exchange(backend, ssl_context=context)).status == 200
        with pytest.raises(UntrustedError):
            await exchange(backend, url=f"https://localhost:{backend.port}", ssl_context=context)


async def test_tls_to_a_port_that_speaks_plain_http_is_an_outage(certificate: Path) -> None:
    """A garbled handshake says nothing about who is there: it is tried again."""
    with Backend() as backend:
        with pytest.raises(OSError, match=r"\w") as caught:
            await exchange(backend, url=f"https://127.0.0.1:{backend.port}", total=0.5)
        assert not isinstance(caught.value, UntrustedError)


async def test_C29_certificates_renewed_on_disk_are_read_again(tmp_path: Path) -> None:
    """Short-lived ones: the file is missing for a moment, then that of another authority, then the
    right one. The same transport recovers, and says what is wrong until then.
    """
    authority, other = make_authority(tmp_path / "one"), make_authority(tmp_path / "other")
    file = tmp_path / "ca.pem"
    with Backend(tls=authority.server) as backend:
        network = Network.of(backend.url, {}, ca_file=file)
        transport = HttpTransport(backend.url, Secret(KEY), network=network)
        with pytest.raises(UntrustedError, match=r"ca_file= .* does not exist"):
            await transport.send(SMALL, [])
        file.write_bytes(other.ca.read_bytes())
        with pytest.raises(UntrustedError, match="not trusted"):
            await transport.send(SMALL, [])
        file.write_bytes(authority.ca.read_bytes())
        with pytest.raises(UntrustedError, match="not trusted"):
            await transport.send(SMALL, [])
        assert (await transport.send(SMALL, [])).status == 200
        await transport.close()
