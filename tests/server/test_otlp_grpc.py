"""OTLP over gRPC, with OpenTelemetry's own exporter: what most SDKs and collectors send first."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.server_process import serving

from sessiontrace.cli.commands.serve import command
from sessiontrace.model.errors import StoreBusyError, StoreError
from sessiontrace.server.apis.otlp import grpc_server
from sessiontrace.server.apis.otlp.intake import Outcome
from sessiontrace.server.http import RequestRejected
from sessiontrace.server.security.intake_budget import IntakeBudget, IntakeFullError
from sessiontrace.server.security.token_auth import TokenAuth

grpc = pytest.importorskip("grpc", reason="needs grpcio")
exporters = pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", reason="needs OTel's exporter"
)
trace_sdk = pytest.importorskip("opentelemetry.sdk.trace")
export_sdk = pytest.importorskip("opentelemetry.sdk.trace.export")

TOKEN = "a-token-of-at-least-20-characters"


def send(port: int | None, **options: object) -> str:
    """Send one span; its trace id."""
    exporter = exporters.OTLPSpanExporter(
        endpoint=f"127.0.0.1:{port}", insecure=True, timeout=5, **options
    )
    provider = trace_sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(export_sdk.SimpleSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("work") as span:
        trace = f"{span.get_span_context().trace_id:032x}"
    provider.shutdown()
    return trace


def test_the_exporters_spans_arrive_with_the_token_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Compressed, over HTTP/2, in a session of their trace; a call without the token is refused."""
    place = tmp_path / "store.db"
    with serving(place, "--grpc-port", "0", SESSIONTRACE_SERVE_TOKEN=TOKEN) as server:
        with caplog.at_level(logging.ERROR):
            send(server.grpc_port)
        assert "UNAUTHENTICATED" in caplog.text
        key = (("authorization", f"Bearer {TOKEN}"),)
        trace = send(server.grpc_port, headers=key, compression=grpc.Compression.Gzip)
        status, _, body = server.request("/api/sessions", Authorization=f"Bearer {TOKEN}")
    assert status == 200
    assert body.count(b'"session_id"') == 1
    assert str(uuid.UUID(trace)).encode() in body


def test_without_the_extra_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And the server does not start, since its user expects the port to be open."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    options = ["--db", str(tmp_path / "store.db"), "--port", "0", "--grpc-port", "0"]
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 2
    assert "pip install 'sessiontrace[grpc]'" in done.output


class Refusing:
    """Fails with these errors, one a call, and takes what comes then."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def traces(self, body: bytes, binary: bool) -> Outcome:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return Outcome("rejectedSpans", Counter())

    logs = metrics = traces


@contextmanager
def listening(intake: Refusing) -> Iterator[int]:
    """The port of a server of OTLP over gRPC alone."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    try:
        port, stop = run(
            grpc_server.start(intake, TokenAuth(None, 0), IntakeBudget(), "127.0.0.1", 0)
        )
        yield port
        run(stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


FULL = "the server takes in as much as it can"
REFUSALS = {
    "its memory is full": (IntakeFullError(503, FULL), "UNAVAILABLE", True),
    "a key has its share": (IntakeFullError(429, FULL), "RESOURCE_EXHAUSTED", True),
    "the queue is full": (StoreBusyError("busy"), "UNAVAILABLE", True),
    "the disk is full": (StoreError("no room"), "UNAVAILABLE", False),
    "a body it cannot read": (RequestRejected(400, "what is this"), "INVALID_ARGUMENT", False),
    "a fault of its own": (KeyError("secret"), "INTERNAL", False),
}


def test_E32_a_refused_call_says_whether_and_when_to_try_again():
    """In google.rpc.RetryInfo, as OTLP asks for; no refusal shows the server's own exceptions."""
    status_pb2 = pytest.importorskip("google.rpc.status_pb2")
    details_pb2 = pytest.importorskip("google.rpc.error_details_pb2")
    intake = Refusing(*(error for error, _, _ in REFUSALS.values()))
    with listening(intake) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        for case, (_, code, again) in REFUSALS.items():
            with pytest.raises(grpc.RpcError) as refused:
                export(b"", timeout=10)
            assert refused.value.code().name == code, case
            assert "secret" not in refused.value.details()
            trailers = dict(refused.value.trailing_metadata())
            if not again:
                assert "grpc-status-details-bin" not in trailers, case
                continue
            status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
            assert (status.code, status.message) == (
                refused.value.code().value[0],
                refused.value.details(),
            )
            retry, (detail,) = details_pb2.RetryInfo(), status.details
            assert detail.Unpack(retry)
            assert retry.retry_delay.ToMilliseconds() == 1000
        assert export(b"", timeout=10) == b""


def test_the_exporter_comes_again_when_the_server_says(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """After the time of RetryInfo, and not after its own of about a second."""
    monkeypatch.setattr(grpc_server, "_RETRY_S", 0.02)
    intake = Refusing(IntakeFullError(429, FULL))
    with listening(intake) as port, caplog.at_level(logging.WARNING):
        send(port)
    assert intake.calls == 2
    delays = [record.args[3] for record in caplog.records if "retrying in" in record.message]
    assert delays == [0.02]
