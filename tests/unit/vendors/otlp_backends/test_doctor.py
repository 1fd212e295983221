"""``sessiontrace doctor`` asks each OTLP backend by its name, and says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.fake_backend import Backend, Seen, answer

from sessiontrace.vendors import registry

pytest.importorskip("rich", reason="needs the extra 'cli'")

KEYS: dict[str, dict[str, str]] = {
    "langfuse": {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "secret-key"},
    "phoenix": {"PHOENIX_API_KEY": "secret-key"},
    "langsmith": {"LANGSMITH_API_KEY": "secret-key"},
    "braintrust": {"BRAINTRUST_API_KEY": "secret-key", "BRAINTRUST_PARENT": "project_id:7"},
    "opik": {"OPIK_API_KEY": "secret-key"},
    "logfire": {"LOGFIRE_TOKEN": "secret-key"},
    "mlflow": {},
    "datadog": {"DD_API_KEY": "secret-key"},
    "honeycomb": {"HONEYCOMB_API_KEY": "secret-key"},
    "otlp": {},
}


@pytest.mark.parametrize("name", KEYS)
def test_each_backend_is_probed(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A request that stores nothing, with the headers of a real one, and what the answer means."""
    monkeypatch.setenv("SESSIONTRACE_SPOOL", str(tmp_path / "spool"))
    for variable, value in KEYS[name].items():
        monkeypatch.setenv(variable, value)
    destination = registry.find(name).destination
    keeps_a_key = bool(KEYS[name])

    def probe(status: int, kind: str = "application/x-protobuf") -> dict[str, Any]:
        with Backend() as backend:
            backend.responder = lambda seen: answer(
                _status(seen, status), b"", headers={"Content-Type": kind}
            )
            monkeypatch.setenv(destination.URL_VARIABLE, backend.url)
            findings = doctor(capsys, name)
            (seen,) = backend.requests
        assert seen.path.endswith("/v1/traces")
        assert "secret-key" in str(seen.headers) or name == "langfuse" or not keeps_a_key
        return findings

    def _status(seen: Seen, status: int) -> int:
        """As MLflow does, which refuses a request without resources."""
        request = ExportTraceServiceRequest.FromString(seen.body)
        spans = [span for group in request.resource_spans for span in group.scope_spans]
        assert sum(len(scoped.spans) for scoped in spans) == 0
        return status if request.resource_spans else 400

    assert probe(200)["key"]["state"] == "ok"
    refused = probe(401)["key"]
    assert refused["state"] == "fault"
    assert destination.KEY_VARIABLE in refused["advice"]
    absent = probe(404)["answer"]
    assert (absent["state"], destination.URL_VARIABLE in absent["advice"]) == ("fault", True)
    assert probe(503)["answer"]["state"] == "warning"
    assert probe(200, "text/html")["answer"]["state"] == "fault"


def doctor(capsys: pytest.CaptureFixture[str], name: str) -> dict[str, Any]:
    from sessiontrace.cli import main

    main(["doctor", "--json", name])
    printed = capsys.readouterr().out
    assert "secret-key" not in printed
    return {finding["subject"]: finding for finding in orjson.loads(printed)[name]}
