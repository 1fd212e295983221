"""OTLP over gRPC, with OpenTelemetry's own exporter: what most SDKs and collectors send first."""

from __future__ import annotations

import logging
import sys
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.server_process import serving

from sessiontrace.cli.commands.serve import command

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
