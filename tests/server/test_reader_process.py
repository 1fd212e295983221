"""The process that reads large requests of spans: real processes, and a real server with one."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.records import eventually
from support.server_process import serving

from sessiontrace.server.apis.otlp import reader_process
from sessiontrace.server.apis.otlp.reader_process import LARGE, ReaderProcess
from sessiontrace.server.apis.otlp.trace_request import TraceRequest, read_traces, unpacked
from sessiontrace.server.http import RequestRejected

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is none on Windows")

PROTOBUF = "application/x-protobuf"


def request(trace: int, spans: int = 60) -> bytes:
    """A request larger than ``LARGE``, with a span without ids in it."""
    body = ExportTraceServiceRequest()
    scoped = body.resource_spans.add().scope_spans.add()
    scoped.spans.add(name="without ids")
    text = "why? " * 250
    for number in range(1, spans + 1):
        span = scoped.spans.add(
            trace_id=trace.to_bytes(8, "big") * 2, span_id=number.to_bytes(8, "big"),
            parent_span_id=b"" if number == 1 else (1).to_bytes(8, "big"), name="answer",
            start_time_unix_nano=1_796_000_000 * 10**9, end_time_unix_nano=1_796_000_001 * 10**9,
        )  # fmt: skip
        message = f'{{"role":"user","parts":[{{"type":"text","content":"{text}"}}]}}'
        attributes = {
            "gen_ai.operation.name": "chat" if number > 2 else "invoke_agent",
            "gen_ai.request.model": "gpt-4o", "session.id": f"s{trace}",
            "gen_ai.input.messages": f"[{message}]",
        }  # fmt: skip
        for key, value in attributes.items():
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = number
    encoded: bytes = body.SerializeToString()
    assert len(encoded) > LARGE
    return encoded


@pytest_asyncio.fixture
async def process(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ReaderProcess]:
    """A process that is ready, also on a machine with one processor."""
    monkeypatch.setattr(reader_process, "_has_processors", lambda: True)
    reader = ReaderProcess()
    assert await reader.read(request(1)) is None, "the caller reads the first request"
    await asyncio.to_thread(eventually, lambda: reader.pid is not None)
    yield reader
    await asyncio.to_thread(reader.close)


def facts(read: TraceRequest) -> tuple[object, ...]:
    converted = read.converted
    assembly = converted.assembly
    return read.received, converted.reasons, converted.event_ids, assembly.records, assembly.touches


@pytest.mark.asyncio
async def test_a_request_is_the_same_from_either_process(process: ReaderProcess):
    """Its records, what they say of sessions, and what is rejected."""
    body = request(7)
    answer = await process.read(body)
    assert answer is not None
    assert facts(unpacked(answer)) == facts(read_traces(body, True))
    assert unpacked(answer).received == 61


@pytest.mark.asyncio
async def test_requests_at_the_same_time_get_their_own_answers(process: ReaderProcess):
    """They are more than go through at once, and of different sizes."""
    bodies = [request(trace, 60 + trace % 3 * 40) for trace in range(1, 13)]
    answers = await asyncio.gather(*map(process.read, bodies))
    for body, answer in zip(bodies, answers, strict=True):
        assert answer is not None
        assert facts(unpacked(answer)) == facts(read_traces(body, True))


@pytest.mark.asyncio
async def test_a_body_that_is_no_request_is_rejected_and_ends_nothing(process: ReaderProcess):
    answer = await process.read(b"\xff" * LARGE)
    assert answer is not None
    with pytest.raises(RequestRejected) as rejected:
        unpacked(answer)
    assert rejected.value.status == 400
    assert await process.read(request(2)) is not None


@pytest.mark.asyncio
async def test_the_server_reads_by_itself_once_the_process_has_ended(
    process: ReaderProcess, caplog: pytest.LogCaptureFixture
):
    """The system ends it when memory is short: one warning, and no request is lost."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        answers = await asyncio.gather(*(process.read(request(trace)) for trace in range(1, 6)))
    assert answers == [None] * 5
    assert process.pid is None
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert "the process that reads large OTLP requests has ended" in warnings[0]


@pytest.mark.asyncio
async def test_small_requests_and_one_processor_start_no_process(monkeypatch: pytest.MonkeyPatch):
    """A process takes memory, and helps where another processor is free and senders send much."""
    started: list[object] = []
    monkeypatch.setattr(reader_process.subprocess, "Popen", started.append)
    for has_processors, body in ((True, b"x" * (LARGE - 1)), (False, request(1))):
        monkeypatch.setattr(reader_process, "_has_processors", lambda value=has_processors: value)
        reader = ReaderProcess()
        assert await reader.read(body) is None
        await asyncio.to_thread(reader.close)
    assert not started


def test_a_server_stores_large_requests_and_leaves_no_process(tmp_path: Path):
    """The server reads the first requests by itself, and its process reads later ones."""
    with serving(tmp_path / "store.db") as server:
        own = psutil.Process(server.process.pid)
        for trace in range(1, 30):
            sent = server.request("/v1/traces", "POST", request(trace), content_type=PROTOBUF)
            assert sent[0] == 200
        children = own.children()
        sessions = server.json("/api/sessions?limit=60")["sessions"]
        assert {session["events"] for session in sessions} == {60}
        assert len(sessions) == 29
        assert server.json("/api/about")["otlp"]["not_stored"] == {"spans without ids": 29}
    assert len(children) <= 1
    assert not any(child.is_running() for child in children)
