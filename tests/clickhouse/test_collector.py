"""What an OpenTelemetry collector sends is taken, in the batches that it sends."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.records import T0, eventually
from support.server_process import Served, serving

from sessiontrace.model.ids import new_id
from sessiontrace.server.security.api_key_auth import INGEST, required_permission
from sessiontrace.store import api_keys
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.models import DEFAULT_PROJECT
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.timeout(240)  # an engine and servers, on a machine that is busy


trace_pb2 = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: E402
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

SPANS = 8192
TRACES = 32
HERE = Path(__file__).resolve().parents[2] / "docs" / "collector"


@pytest.fixture(params=["sqlite", "clickhouse"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Served, str]]:
    """A server over each store, and a key for a project of its own."""
    db = tmp_path / "store.db"
    if request.param == "sqlite":
        store = SqliteStore(db)
        key = api_keys.add(store, "collector", may=api_keys.BOTH)
        store.close()
        with serving(db, "--keys") as server:
            yield server, key.reveal()
        return
    engine = request.getfixturevalue("engine")
    line = engine.line()
    store = ClickHouseStore(line, DEFAULT_PROJECT)
    name = f"collector-{new_id()}"
    key = api_keys.add(store, name, name, api_keys.BOTH)
    with serving(db, "--keys", store=engine.url()) as server:
        yield server, key.reveal()
    api_keys.revoke(store, name)
    line.close()


def batch() -> bytes:
    """8192 spans of 32 traces, as the collector's batching puts them together."""
    asked = ExportTraceServiceRequest()
    resource = asked.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_spans.add()
    scope.scope.name = "agent"
    for number in range(SPANS):
        trace, step = divmod(number, SPANS // TRACES)
        span = scope.spans.add()
        span.trace_id = (trace + 1).to_bytes(16, "big")
        span.span_id = (number + 1).to_bytes(8, "big")
        if step:
            span.parent_span_id = (trace * (SPANS // TRACES) + 1).to_bytes(8, "big")
        span.name = "chat gpt-x" if step else "agent"
        span.kind = trace_pb2.Span.SPAN_KIND_CLIENT
        span.start_time_unix_nano = (T0 + number) * 1_000_000
        span.end_time_unix_nano = (T0 + number + 250) * 1_000_000
        for name, value in (
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.request.model", "gpt-x"),
            ("gen_ai.input.messages", json.dumps([{"role": "user", "content": f"q {number}"}])),
        ):
            span.attributes.add(key=name).value.string_value = value
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 7
    return asked.SerializeToString()


def test_a_collectors_batch_of_8192_spans_is_taken_packed_as_protobuf(served):
    """otlphttp with its defaults: POST /v1/traces, gzip, protobuf, the answer in protobuf too."""
    server, key = served
    headers = {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "gzip",
        "User-Agent": "OpenTelemetry Collector Contrib/0.162.0 (linux/amd64)",
        "Authorization": f"Bearer {key}",
    }  # fmt: skip
    body = gzip.compress(batch(), 1)
    for _ in range(2):  # the collector sends again what it got no answer to
        status, answered, told = server.request("/v1/traces", "POST", body, **headers)
        assert status == 200, told
        assert answered["content-type"] == "application/x-protobuf"
        assert not ExportTraceServiceResponse.FromString(told).partial_success.rejected_spans

    def shown() -> list[dict[str, int]]:
        status, _, listed = server.request("/api/sessions?limit=100", **headers)
        assert status == 200, listed
        return [
            {name: one[name] for name in ("events", "tokens")}
            for one in json.loads(listed)["sessions"]
        ]

    each = SPANS // TRACES
    assert eventually(shown) == [{"events": each, "tokens": 7 * each}] * TRACES


def test_the_example_configuration_holds_together():
    """Every part that a pipeline names is there, and the route it sends to takes sending keys."""
    config = yaml.safe_load((HERE / "collector.yaml").read_text())
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(config[kind])
    assert set(config["service"]["extensions"]) <= set(config["extensions"])
    kinds = {name.partition("/")[0] for name in config["exporters"]}
    assert kinds == {"otlphttp", "clickhouse", "kafka"}
    for exporter in config["exporters"].values():
        assert exporter["sending_queue"]["storage"] in config["extensions"]
        assert exporter["retry_on_failure"]["max_elapsed_time"] == 0
    largest = config["exporters"]["otlphttp/sessiontrace"]["sending_queue"]["batch"]["max_size"]
    from sessiontrace.server.http import BODY_MAX

    assert largest < BODY_MAX, "a batch that is refused as too large is lost by the collector"
    assert required_permission("POST", "/v1/traces") == INGEST


def test_the_compose_file_names_what_is_there():
    """Services that depend on each other, ports that match the collector's configuration."""
    compose = yaml.safe_load((HERE / "compose.yaml").read_text())
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
    config = (HERE / "collector.yaml").read_text()
    for host in re.findall(r"(?:http|tcp)://([a-z]+):", config):
        assert host in services
    assert "4318:4318" in services["collector"]["ports"]
    ran = [str(one.get("command", "")) for one in services.values()]
    assert any("store migrate" in one or "migrate" in one for one in ran)
