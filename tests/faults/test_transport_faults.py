"""C: between the program and its backend stand a proxy, a private authority, a server with mTLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority, make_authority
from support.fake_backend import Backend, eventually
from support.plugins import SMALL_VENDOR, install
from support.proxy import Proxy
from support.subprocesses import run
from support.tracers import settled, tracing

import sessiontrace as st

KINDS = ("honeyhive", "humanloop4", "humanloop5", "posthog", "otlp", "acme")
LOGIN = "corporate user:p@ss/word"
ESCAPED = "corporate%20user:p%40ss%2Fword"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private authority, as a company has one."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A third party's vendor, whose transport names neither proxy nor certificates."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    install(tmp_path / "site", "acme_network", SMALL_VENDOR, {"acme": "acme_network:VENDOR"})
    import acme_network

    return acme_network.Acme


def destination(kind: str, url: str, acme: Any, **options: Any) -> Any:
    """Each destination at a URL, under the name "x"."""
    if kind == "otlp":
        return st.OTLP(endpoint=url, headers={"x-key": "k"}, name="x", **options)
    if kind.startswith("humanloop"):
        options["version"] = int(kind[-1])
    classes = {"hone": st.HoneyHive, "huma": st.Humanloop, "post": st.PostHog, "acme": acme}
    return classes[kind[:4]](api_key="phc_key", base_url=url, name="x", **options)


def deliver(spool: Path, target: Any) -> None:
    """One session with one step, delivered whole."""
    with tracing(spool, target) as tracer:
        with tracer.session("a session"):
            with tracer.span("a step", inputs={"a": 1}):
                pass
        tracer.flush(10)
        books = settled(tracer, "x")
        assert not books.rejected
        assert books.acked


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tls", [True, False], ids=["CONNECT", "plain"])
@pytest.mark.parametrize("login", ["", LOGIN], ids=["open", "password"])
def test_C28_every_destination_goes_through_a_proxy(
    kind: str, tls: bool, login: str, authority: Authority, acme: Any, tmp_path: Path
) -> None:
    """The name of the backend resolves nowhere but at the proxy, as in a closed network. Records
    arrive; user and password stay between this program and the proxy.
    """
    with Backend(tls=authority.server if tls else None) as backend:
        with Proxy({"backend.invalid": backend.port}, login) as proxy:
            user = f"{ESCAPED}@" if login else ""
            target = destination(
                kind,
                f"{'https' if tls else 'http'}://backend.invalid",
                acme,
                proxy=f"http://{user}127.0.0.1:{proxy.port}",
                ca_file=authority.ca,
                allow_insecure=True,
            )
            assert "p%40ss" not in repr(target)
            deliver(tmp_path / "spool", target)
        assert backend.requests
        assert not any("proxy-authorization" in request.headers for request in backend.requests)
    method = "CONNECT" if tls else "POST"
    assert {each.split(" ")[0] for each in proxy.targets} <= {method, "PUT", "PATCH"}
    assert proxy.refused == 0
    if tls:
        assert "phc_key" not in "".join(proxy.heads)


@pytest.mark.parametrize("kind", KINDS)
def test_C28_the_environments_proxy_is_used_unless_no_proxy_names_the_host(
    kind: str, authority: Authority, acme: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY carries a destination, with SSL_CERT_FILE for its authority; the same address
    of this machine is reached without the proxy.
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with Backend(tls=authority.server) as backend:
        with Proxy({"backend.invalid": backend.port}) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            deliver(tmp_path / "one", destination(kind, "https://backend.invalid", acme))
            carried = len(proxy.targets)
            assert carried
            deliver(tmp_path / "two", destination(kind, backend.url, acme))
            assert len(proxy.targets) == carried


@pytest.mark.parametrize("kind", KINDS)
def test_C29_every_destination_shows_its_client_certificate(
    kind: str, authority: Authority, acme: Any, tmp_path: Path
) -> None:
    """A server with mTLS takes the records of a client with a certificate of its authority."""
    with Backend(tls=authority.strict_server) as backend:
        options = {
            "ca_file": authority.ca,
            "client_cert": authority.cert,
            "client_key": authority.key,
        }
        deliver(tmp_path / "spool", destination(kind, backend.url, acme, **options))
        assert backend.requests


def test_C29_without_its_client_certificate_the_lane_waits_and_says_why(
    authority: Authority, tmp_path: Path
) -> None:
    """Nothing is lost: the records stay, and the reason names the arguments."""
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        while True:
            try:
                peer, _ = listener.accept()
                with authority.strict_server.wrap_socket(peer, server_side=True):
                    pass
            except ssl.SSLError:
                pass  # the alert is on its way
            except OSError:
                return

    threading.Thread(target=refuse, daemon=True).start()
    with contextlib.closing(listener):
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        target = st.HoneyHive(api_key="k", base_url=url, ca_file=authority.ca, name="x")
        with tracing(tmp_path / "spool", target) as tracer:
            with tracer.session("a session"):
                pass
            tracer.flush(1)
            # A reset may overtake the alert; the next attempt reads it.
            eventually(lambda: "client_cert=" in tracer.stats().destinations["x"].last_error)
            assert tracer.stats().destinations["x"].pending == 2
            listener.shutdown(socket.SHUT_RDWR)


def test_C28_a_refused_login_blocks_the_lane_and_shows_no_password(
    authority: Authority, tmp_path: Path
) -> None:
    """407 is for an operator: the records stay, the reason names proxy=."""
    with Backend(tls=authority.server) as backend:
        with Proxy({"backend.invalid": backend.port}, LOGIN) as proxy:
            target = st.HoneyHive(
                api_key="k",
                base_url="https://backend.invalid",
                proxy=f"http://user:secret@127.0.0.1:{proxy.port}",
                name="x",
            )
            with tracing(tmp_path / "spool", target) as tracer:
                with tracer.session("a session"):
                    pass
                tracer.flush(1)
                eventually(lambda: tracer.stats().destinations["x"].last_error)
                books = tracer.stats().destinations["x"]
                assert "proxy=" in books.last_error
                assert "secret" not in str(books)
                assert books.pending == 2


def test_C28_records_reach_the_backend_through_the_proxy_at_exit(
    authority: Authority, tmp_path: Path
) -> None:
    """A short program ends before its sender connected: the exit hook delivers, with TLS in the
    proxy's tunnel.
    """
    program = """
    import sessiontrace as st
    st.init(exit_timeout=10)
    with st.session("a session"):
        pass
    """
    with Backend(tls=authority.server) as backend:
        with Proxy({"backend.invalid": backend.port}, LOGIN) as proxy:
            run(
                program, tmp_path, HH_API_KEY="k", HH_API_URL="https://backend.invalid",
                HTTPS_PROXY=f"http://{ESCAPED}@127.0.0.1:{proxy.port}",
                REQUESTS_CA_BUNDLE=str(authority.ca),
            )  # fmt: skip
        assert backend.requests


def test_C30_options_of_the_way_leave_the_fingerprint_alone(authority: Authority) -> None:
    """Records that an earlier run spooled still match after a proxy or a certificate is added."""
    for kind in KINDS[:-1]:
        plain = destination(kind, "https://backend.invalid", None)
        other = destination(
            kind, "https://backend.invalid", None, proxy="http://u:p@proxy:1", ca_file=authority.ca,
            client_cert=authority.cert, client_key=authority.key, insecure=True,
        )  # fmt: skip
        assert plain.complete({}).fingerprint() == other.complete({}).fingerprint()
        assert not other.complete({}).faults()
