"""Media that senders put into their records: taken out, stored once, and served safely."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
import wave
from base64 import b64encode, encodebytes
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from support.otlp_requests import new_trace, request, span
from support.records import T0
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
WAV = b"RIFF\x24\x08\x00\x00WAVEfmt " + bytes(2_000)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>' + b" " * 2_000
SANDBOX = "default-src 'none'; sandbox"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("media")
    with serving(folder / "store.db", SESSIONTRACE_MEDIA_ITEM="20000") as served:
        yield served


def url_of(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def post(server: Served, path: str, body: Any) -> None:
    encoded = json.dumps(body).encode()
    status, _, answer = server.request(path, "POST", encoded, Content_Type="application/json")
    assert status in (200, 201, 202, 207), answer


def honeyhive(server: Served, sid: str, content: Any) -> None:
    event = {
        "event_id": new_id(), "session_id": sid, "event_type": "tool", "event_name": "step",
        "start_time": T0, "end_time": T0 + 5, "duration": 5.0, "inputs": {"image": content},
    }  # fmt: skip
    post(server, "/v1/events/batch", {"events": [event]})


def otlp(server: Served, sid: str, content: Any) -> None:
    part = {"type": "image_url", "image_url": {"url": content}}
    messages = json.dumps([{"role": "user", "parts": [part]}])
    step = span(
        "chat", new_trace()[0],
        attributes={"session.id": sid, "gen_ai.operation.name": "chat",
                    "gen_ai.input.messages": messages},
    )  # fmt: skip
    post(server, "/v1/traces", request(step))


def posthog(server: Served, sid: str, content: Any) -> None:
    properties = {
        "$ai_trace_id": sid, "$ai_span_id": new_id(), "$ai_span_name": "step",
        "$ai_input_state": {"image": content},
    }  # fmt: skip
    event = {
        "event": "$ai_span", "distinct_id": "ada", "uuid": str(uuid.uuid4()),
        "timestamp": "2026-09-21T14:13:20+00:00", "properties": properties,
    }  # fmt: skip
    post(server, "/batch/", {"api_key": "phc_x", "batch": [event]})


def langfuse(server: Served, sid: str, content: Any) -> None:
    trace, times = new_trace()[0], "2026-11-01T10:00:00.000Z"
    bodies = [
        ("trace-create", {"id": trace, "sessionId": sid, "timestamp": times}),
        ("span-create", {"id": new_id(), "traceId": trace, "name": "step", "startTime": times,
                         "endTime": times, "input": {"image": content}}),
    ]  # fmt: skip
    batch = [
        {"id": new_id(), "type": kind, "timestamp": times, "body": body} for kind, body in bodies
    ]
    post(server, "/api/public/ingestion", {"batch": batch})


def stored_text(server: Served, sid: str) -> str:
    """What the store has of a session's steps, as JSON."""
    session = server.json(f"/api/sessions/{sid}")
    return json.dumps([server.json(f"/api/events/{e['event_id']}") for e in session["events"]])


def get(server: Served, content: bytes, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    return server.request(f"/api/media/{hashlib.sha256(content).hexdigest()}", **headers)


@pytest.mark.parametrize("send", [honeyhive, otlp, posthog, langfuse])
def test_a_data_url_is_stored_as_a_file(server: Served, send: Any):
    """Whatever API it came by, the row has the description and the store the bytes."""
    content = PNG + send.__name__.encode()
    sid = new_id()
    send(server, sid, url_of(content))
    text = stored_text(server, sid)
    assert b64encode(content).decode()[:100] not in text
    assert f'"sha256": "{hashlib.sha256(content).hexdigest()}", "stored": true' in text
    status, headers, body = get(server, content)
    assert (status, body) == (200, content)
    assert headers["content-type"] == "image/png"
    assert headers["content-disposition"].startswith("inline; filename=")
    assert headers["content-security-policy"] == SANDBOX
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("claimed", "content"),
    [
        ("image/svg+xml", SVG),
        ("text/html", b"<script>alert(1)</script>" + b" " * 2_000),
        ("image/png", b"<html><script>alert(1)</script>" + b" " * 2_000),
        ("application/pdf", b"%PDF-1.7" + b" " * 2_000),
        ("text/javascript", b"alert(1);" * 300),
    ],
)
def test_what_may_run_is_a_download(server: Served, claimed: str, content: bytes):
    """No trace places a document on this server's origin."""
    honeyhive(server, new_id(), url_of(content, claimed))
    status, headers, body = get(server, content)
    assert (status, body) == (200, content)
    assert headers["content-type"] in ("application/octet-stream", "application/pdf")
    assert headers["content-disposition"].startswith("attachment")
    assert headers["content-security-policy"] == SANDBOX
    assert headers["x-content-type-options"] == "nosniff"


def test_base64_in_lines_is_a_medium_too(server: Served):
    """Providers take it, and Python's ``encodebytes`` writes it."""
    sid, content = new_id(), PNG + b"in lines"
    honeyhive(server, sid, {"type": "base64", "data": encodebytes(content).decode()})
    assert '"stored": true' in stored_text(server, sid)
    assert get(server, content)[2] == content


def test_base64_of_nothing_known_stays_a_text(server: Served):
    """An encrypted piece of reasoning goes back to the provider as it is."""
    sid = new_id()
    sealed = b64encode(hashlib.shake_256(b"sealed").digest(6_000)).decode()
    honeyhive(server, sid, sealed)
    assert sealed in stored_text(server, sid)


def test_a_player_asks_for_parts(server: Served):
    """Seeking in a sound asks for a range; a browser that has the file asks whether it is there."""
    honeyhive(server, new_id(), url_of(WAV, "audio/wav"))
    status, headers, body = get(server, WAV, Range="bytes=10-19")
    assert (status, body) == (206, WAV[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(WAV)}"
    assert get(server, WAV, Range="bytes=-5")[2] == WAV[-5:]
    assert get(server, WAV, Range="bytes=99999-")[0] == 416
    assert get(server, WAV, Range="nonsense")[::2] == (200, WAV)
    tag = headers["etag"]
    assert get(server, WAV, If_None_Match=tag)[::2] == (304, b"")
    assert headers["cache-control"] == "private, no-cache"


def test_a_medium_above_the_limit_is_a_reported_loss(server: Served):
    """The record is there with what is known of it; the page says that something is missing."""
    sid, content = new_id(), b"\x89PNG\r\n\x1a\n" + bytes(30_000)
    honeyhive(server, sid, url_of(content))
    text = stored_text(server, sid)
    assert hashlib.sha256(content).hexdigest() in text
    assert '"stored"' not in text
    assert get(server, content)[0] == 404
    (loss,) = server.json("/api/losses")["losses"]
    assert (loss["service"], loss["counts"]) == ("sessiontrace serve", {"media too large": 1})


def test_a_deleted_session_takes_its_media_along(server: Served):
    """The report says how many; afterwards the address leads nowhere."""
    sid, content = new_id(), PNG + b"to be deleted"
    honeyhive(server, sid, url_of(content))
    body = json.dumps({"ids": [sid]}).encode()
    _, _, answer = server.request(
        "/api/sessions/delete", "POST", body, Content_Type="application/json"
    )
    erased = json.loads(answer)
    assert (erased["media"], erased["media_bytes"]) == (1, len(content))
    assert get(server, content)[0] == 404


@pytest.mark.parametrize("name", ["x", "..%2f..%2fetc%2fpasswd", "A" * 64])
def test_only_a_hash_is_an_address(server: Served, name: str):
    """Nothing else of the disk is reachable."""
    assert server.request(f"/api/media/{name}")[0] == 404


def test_raw_sound_is_a_file_that_browsers_play(server: Served):
    """Gemini answers with samples alone; the page knows their rate from the type beside them."""
    content = bytes(range(1, 200)) * 10
    honeyhive(server, new_id(), url_of(content, "audio/pcm"))
    digest = hashlib.sha256(content).hexdigest()
    _, headers, body = server.request(f"/api/media/{digest}?pcm=24000")
    with wave.open(io.BytesIO(body)) as sound:
        assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (24_000, 2, 1)
        assert sound.readframes(2_000) == content
    assert headers["content-type"] == "audio/wav"
    assert server.request(f"/api/media/{digest}")[1]["content-type"] == "application/octet-stream"
    for rate in ("", "x", "-1", "99999999", "1e4"):
        assert server.request(f"/api/media/{digest}?pcm={rate}")[2] == content
