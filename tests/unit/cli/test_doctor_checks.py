"""The doctor finds what is wrong and says what to do, and leaves nothing behind."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.certificates import make_authority
from support.exporters import POSTHOG
from support.fake_backend import Backend, Seen, answer
from support.proxy import Proxy

import sessiontrace as st
from sessiontrace.capture.redaction import patterns
from sessiontrace.export.protocol import Request
from sessiontrace.spool.filesystem import Files

pytest.importorskip("rich", reason="needs the extra 'cli'")

VARIABLES = (
    *("HH_API_KEY", "HH_API_URL", "HUMANLOOP_API_KEY", "HUMANLOOP_BASE_URL", "POSTHOG_API_KEY"),
    *("POSTHOG_HOST", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"),
    "SESSIONTRACE_DESTINATIONS",
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SESSIONTRACE_STORE", str(tmp_path / "store.db"))
    monkeypatch.setenv("SESSIONTRACE_SPOOL", str(tmp_path / "spool"))
    return tmp_path


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    with Backend() as backend:
        for name in ("HH_API_URL", "POSTHOG_HOST", "HUMANLOOP_BASE_URL"):
            monkeypatch.setenv(name, backend.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.url)
        for name in ("HH_API_KEY", "POSTHOG_API_KEY", "HUMANLOOP_API_KEY"):
            monkeypatch.setenv(name, "secret-key")
        yield backend


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    from sessiontrace.cli import main

    status = main(["doctor", "--json", *words])
    printed = capsys.readouterr().out
    assert "secret-key" not in printed
    found = orjson.loads(printed)
    return (
        status,
        {name: {one["subject"]: one for one in delivery} for name, delivery in found.items()},
        printed,
    )


@pytest.mark.parametrize(
    ("name", "reply", "state"),
    [
        ("honeyhive", 404, "ok"),
        ("honeyhive", 401, "fault"),
        ("honeyhive", 403, "fault"),
        ("honeyhive", 302, "fault"),
        ("honeyhive", 503, "warning"),
        ("posthog", 400, "ok"),
        ("posthog", 401, "fault"),
        ("posthog", 404, "fault"),
        ("humanloop", 200, "ok"),
        ("humanloop", 404, "fault"),
        ("otlp", 200, "ok"),
        ("otlp", 405, "fault"),
    ],
)
def test_what_a_destination_answers_is_judged(
    backend: Backend, capsys: pytest.CaptureFixture[str], name: str, reply: int, state: str
) -> None:
    """A call that changes nothing tells whether address and key are right."""
    backend.responder = lambda seen: answer(reply, b"{}")
    status, found, _ = doctor(capsys, name)
    delivery = found[name].get("key") or found[name]["answer"]
    assert delivery["state"] == state
    assert bool(delivery["advice"]) is (state != "ok")
    assert status == (1 if state == "fault" else 0)
    assert len(backend.requests) == 1
    assert found[name]["address"]["state"] == "ok"


def test_without_a_name_it_looks_at_what_a_program_would_use(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every destination whose key is in the environment."""
    backend.responder = lambda seen: answer(400 if seen.path == "/batch/" else 200, b"{}")
    status, found, _ = doctor(capsys)
    assert status == 0
    assert list(found) == ["honeyhive", "humanloop", "posthog", "otlp", "spool", "capture"]


def test_a_clock_that_is_wrong_is_told(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's Date is ten minutes behind this machine."""
    date = email.utils.formatdate(time.time() - 600, usegmt=True)
    backend.responder = lambda seen: answer(200, b"{}", headers={"Date": date})
    _, found, _ = doctor(capsys, "otlp")
    assert found["otlp"]["clock"]["state"] == "warning"
    assert "s ahead of the server's" in found["otlp"]["clock"]["text"]


def test_a_web_page_is_not_the_api(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    """A captive portal, or the address of the website."""
    page = answer(200, b"<html>", headers={"Content-Type": "text/html"})
    backend.responder = lambda seen: page
    status, found, _ = doctor(capsys, "honeyhive")
    assert status == 1
    assert "web page" in found["honeyhive"]["answer"]["text"]


def test_a_canary_is_sent_only_when_asked_for(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """It arrives as a session that says what it is."""

    def respond(seen: Seen) -> object:
        if not seen.json["batch"]:
            return answer(400, b"request holds no event")
        reply = POSTHOG.reply(Request(seen.method, seen.path, seen.body, ()))
        return answer(reply.status, reply.body, headers=dict(reply.headers))

    backend.responder = respond  # type: ignore[assignment]
    status, found, _ = doctor(capsys, "posthog", "--canary")
    assert status == 0
    assert found["posthog"]["canary"]["state"] == "ok"
    (event,) = backend.requests[-1].json["batch"]
    assert event["properties"]["$ai_span_name"] == "sessiontrace doctor"
    assert event["properties"]["metadata"]["canary"] is True


def test_a_canary_that_is_refused_is_a_fault(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key may read and not write."""
    backend.responder = lambda seen: answer(404 if seen.method == "GET" else 403, b"{}")
    status, found, _ = doctor(capsys, "honeyhive", "--canary")
    assert status == 1
    assert "HTTP 403" in found["honeyhive"]["canary"]["text"]


def test_nobody_there_and_no_such_name_are_faults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its own advice."""
    monkeypatch.setenv("HH_API_KEY", "secret-key")
    monkeypatch.setenv("HH_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://no-such-host.invalid")
    status, found, _ = doctor(capsys)
    assert status == 1
    assert "cannot connect" in found["honeyhive"]["answer"]["text"]
    assert "DNS" in found["otlp"]["address"]["advice"]


def test_the_local_store_is_looked_at_without_being_made(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not there yet is fine; a file that is no database is not."""
    status, found, _ = doctor(capsys)
    assert status == 0
    assert "not created yet" in found["local"]["store"]["text"]
    assert not (place / "store.db").exists()
    (place / "store.db").write_bytes(b"this is no database at all" * 100)
    status, found, _ = doctor(capsys)
    assert status == 1
    assert found["local"]["store"]["advice"]


def test_records_that_wait_for_a_destination_not_configured_here_are_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program ended while its vendor was away; its records need that destination again."""
    away = st.PostHog(api_key="secret-key", base_url="http://127.0.0.1:9")
    traced = st.Tracer(away, spool=place / "spool", exit_timeout=0.1)
    with traced.session("chat"):
        pass
    traced.shutdown(0.1)
    status, found, printed = doctor(capsys)
    assert status == 0
    assert "records of ended programs for posthog (posthog)" in printed
    assert found["spool"]["spool"]["state"] == "ok"


def test_A34_records_under_another_key_are_a_fault_with_what_to_do(
    backend: Backend, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key was rotated while records waited: a run of any program would not send them."""
    traced = st.Tracer(
        st.HoneyHive(api_key="old", base_url=backend.url), spool=place / "spool", exit_timeout=0.1
    )
    backend.responder = lambda seen: answer(503)
    with traced.session("chat"):
        pass
    traced.shutdown(0.1)
    backend.responder = lambda seen: answer(404 if seen.path != "/batch/" else 400, b"{}")
    status, found, _ = doctor(capsys, "honeyhive")
    assert status == 1
    assert found["spool"]["waiting"]["state"] == "fault"
    assert found["spool"]["waiting"]["text"].startswith("2 records wait for a honeyhive")
    assert "spool flush --adopt-from" in found["spool"]["waiting"]["advice"]
    assert "spool show" in found["spool"]["waiting"]["advice"]


@pytest.mark.parametrize("fault", ["owner", "mode"])
def test_A32_a_spool_that_programs_refuse_is_a_fault(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """It can be written to, but others own it or can write to it: programs do not use it."""
    (place / "spool").mkdir()
    (place / "spool").chmod(0o777 if fault == "mode" else 0o700)
    if fault == "owner":
        monkeypatch.setattr(Files, "owned", lambda self, status: False)
    status, found, _ = doctor(capsys)
    assert status == 1
    assert ("chmod" if fault == "mode" else "another user") in found["spool"]["spool"]["text"]


def test_what_is_not_compiled_is_told(
    backend: Backend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works as well, and takes longer: no fault, but worth knowing."""
    monkeypatch.setattr(patterns, "COMPILED", False)
    backend.responder = lambda seen: answer(400 if seen.path == "/batch/" else 200, b"{}")
    status, found, _ = doctor(capsys)
    assert status == 0
    assert found["capture"]["compiled"]["state"] == "ok"
    assert "C compiler" in found["capture"]["compiled"]["advice"]


def test_for_people_it_prints_lines(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, state, subject, words; and under them what to do."""
    from sessiontrace.cli import main

    backend.responder = lambda seen: answer(401, b"{}")
    assert main(["doctor", "honeyhive"]) == 1
    printed = capsys.readouterr().out
    assert "fault   key" in printed
    assert "check HH_API_KEY" in printed
    assert "secret-key" not in printed


def test_the_way_through_a_proxy_is_tested_and_shown(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend's name resolves at the proxy only, and its authority is a private one. The
    password of the proxy is not shown.
    """
    authority = make_authority(place / "authority")
    monkeypatch.setenv("HH_API_KEY", "secret-key")
    monkeypatch.setenv("HH_API_URL", "https://backend.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with Backend(lambda request: answer(404), tls=authority.server) as backend:
        with Proxy({"backend.invalid": backend.port}, "me:hidden") as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:hidden@127.0.0.1:{proxy.port}")
            status, found, printed = doctor(capsys)
            assert found["honeyhive"]["proxy"]["text"] == f"{proxy.url}, by HTTPS_PROXY"
            assert f"{authority.ca}, by SSL_CERT_FILE" in found["honeyhive"]["authorities"]["text"]
            assert found["honeyhive"]["key"]["state"] == "ok"
            assert "hidden" not in printed
            assert status == 0
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong@127.0.0.1:{proxy.port}")
            status, found, printed = doctor(capsys)
    assert "407" in found["honeyhive"]["answer"]["text"]
    assert "wrong" not in printed
    assert status != 0


def test_the_client_certificate_is_used_and_shown(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector with mutual TLS, configured by OpenTelemetry's variables."""
    authority = make_authority(place / "authority")
    with Backend(tls=authority.strict_server) as backend:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.ca))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(authority.cert))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(authority.key))
        status, found, _ = doctor(capsys)
    assert status == 0
    assert str(authority.cert) in found["otlp"]["client certificate"]["text"]
    assert found["otlp"]["certificate"]["state"] == "ok"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("off", "switched off: only reported costs are recorded"),
        ('{"mine": {"input": 1}}', "1 own"),
        ("", "genai-prices"),
    ],
)
def test_doctor_says_where_costs_come_from(
    variable: str,
    text: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session full of unpriced calls is explained by one line."""
    monkeypatch.setenv("SESSIONTRACE_PRICES", variable)
    monkeypatch.setenv("SESSIONTRACE_DESTINATIONS", "local")
    _, found, _ = doctor(capsys)
    assert text in found["capture"]["prices"]["text"]
    assert found["capture"]["prices"]["state"] == "ok"
