"""What an event is in each protocol that the benchmarks' sink speaks, and how it is acknowledged.

Pure functions of a request. Invariant: an event is what the caller made one of (a span, a run, a
log, a message), however many requests or parts carry it.
"""

from __future__ import annotations

import functools
import gzip
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import orjson

__all__ = ["Found", "Taken", "answer", "place", "read"]

_JSON = "application/json"
_ID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|tr-[0-9a-f]{32}|\d{5,}")
_RESOURCE = b"\xa8resource"  # a key that each span in MessagePack has once
_PENDING = b"pending_span"
_RUN = re.compile(rb'name="(post|patch)\.([0-9a-f-]{36})"')


@attrs.frozen(slots=False)
class Taken:
    """A request as it came; ``decoded`` is its JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def plain(self) -> bytes:
        """The body without its compression."""
        how = self.headers.get("content-encoding", "")
        if how == "gzip" or self.body[:2] == b"\x1f\x8b":
            return gzip.decompress(self.body)
        if how == "deflate":
            return zlib.decompress(self.body)
        if how == "zstd":
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress(self.body)
        return self.body

    @functools.cached_property
    def decoded(self) -> Any:
        return orjson.loads(self.plain())


@attrs.frozen
class Found:
    """The events in a request; ``sessions`` it opens; the sessions its events are ``under``.

    ``named``: ids of events that may come several times (at start and at end) and count once.
    """

    events: int = 0
    sessions: Iterable[str] = ()
    under: Iterable[str] = ()
    named: Iterable[str] = ()


def place(path: str) -> str:
    """A path without the ids in it."""
    return _ID.sub("*", path)


def read(taken: Taken) -> Found:
    """What came."""
    if taken.method == "GET" or not taken.body:
        return Found()
    path, kind = taken.path, taken.headers.get("content-type", "")
    if path.endswith("/v1/traces"):
        return Found(_spans(taken.plain()) if "protobuf" in kind else _json_spans(taken.decoded))
    if path.endswith("/v0.4/traces"):
        return Found(taken.plain().count(_RESOURCE))
    if "multipart" in kind:
        runs = _RUN.findall(taken.plain())
        return Found(len({run for verb, run in runs if verb == b"post"}))
    for end, look in _BY_PATH.items():
        if path.endswith(end):
            return look(taken.decoded) if taken.method == "POST" else Found()
    return Found()


def _spans(body: bytes) -> int:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(body)
    spans = [s for one in request.resource_spans for scope in one.scope_spans for s in scope.spans]
    if _PENDING in body:  # logfire announces what is still open
        return sum(all(pair.value.string_value != "pending_span" for pair in s.attributes)
                   for s in spans)  # fmt: skip
    return len(spans)


def _json_spans(request: Any) -> int:
    scopes = (scope for one in request["resourceSpans"] for scope in one["scopeSpans"])
    return sum(len(scope["spans"]) for scope in scopes)


def _honeyhive(body: Any) -> Found:
    events = body["events"]
    return Found(len(events), (), [event["session_id"] for event in events])


_BY_PATH = {
    "/v1/events/batch": _honeyhive,
    "/v1/sessions": lambda body: Found(0, [body["session_id"]]),
    "/logs": lambda body: Found(len(body) if isinstance(body, list) else 1),
    "/batch/": lambda body: Found(len(body["batch"])),
    "/spans/batch": lambda body: Found(named=["span " + one["id"] for one in body["spans"]]),
    "/traces/batch": lambda body: Found(named=["trace " + one["id"] for one in body["traces"]]),
}


def _listed(body: Any) -> list[Any]:
    return body if isinstance(body, list) else [body]


def answer(taken: Taken) -> tuple[bytes, str]:
    """What the vendor would say, and its content type."""
    path = taken.path
    if path == "/v1/sessions":
        session = taken.decoded["session_id"]
        return orjson.dumps({"session_id": session, "event_id": session}), _JSON
    if path == "/v1/events/batch":
        ids = [event["event_id"] for event in taken.decoded["events"]]
        return orjson.dumps({"success": True, "event_ids": ids}), _JSON
    if path.endswith("/v4/logs"):
        logs = _listed(taken.decoded) if taken.method == "POST" else [{}]
        return orjson.dumps([{"id": f"data_{at}"} for at in range(len(logs))]), _JSON
    if path == "/api/3.0/mlflow/traces":
        return _mlflow(taken.decoded), _JSON
    if "protobuf" in taken.headers.get("content-type", ""):
        return b"", "application/x-protobuf"
    return _BY_PLACE.get(place(path), b"{}"), _JSON


def _mlflow(body: Any) -> bytes:
    """MLflow answers with the trace as it stored it, its spans in the server's own store."""
    kept = body["trace"]["trace_info"]
    kept["tags"] = {**kept.get("tags", {}), "mlflow.trace.spansLocation": "TRACKING_STORE"}
    return orjson.dumps(body)


_BY_PLACE = {
    "/version": b"3.17.2",  # MLflow's server: one that takes spans by OTLP
    "/v1/info": b'{"project_name":"benchmark","project_url":"http://localhost/benchmark"}',
    "/info": orjson.dumps(
        {
            "version": "1.0",
            "batch_ingest_config": {  # what LangSmith's own servers say
                "use_multipart_endpoint": True,
                "scale_up_qsize_trigger": 1000,
                "scale_up_nthreads_limit": 16,
                "scale_down_nempty_trigger": 4,
                "size_limit": 100,
                "size_limit_bytes": 20971520,
            },
            "instance_flags": {
                "zstd_compression_enabled": True,
                "dataset_examples_multipart_enabled": True,
            },
            "endpoints": ["/v0.4/traces", "/v0.5/traces", "/evp_proxy/v2/", "/evp_proxy/v4/"],
            "client_drop_p0s": False,
        }
    ),
}
