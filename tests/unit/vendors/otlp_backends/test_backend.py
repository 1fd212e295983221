"""Backends that take OTLP, by name: address, headers, resource and the names that they read."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from support.fake_backend import Backend

import sessiontrace as st
from sessiontrace.config import resolve
from sessiontrace.model.errors import ConfigError
from sessiontrace.vendors import registry
from sessiontrace.wire.otlp_protobuf_reader import from_protobuf

BASIC = base64.b64encode(b"pk:sk").decode()

CASES: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "langfuse": (
        {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk"},
        "/api/public/otel/v1/traces",
        {"authorization": f"Basic {BASIC}"},
    ),
    "phoenix": (
        {"PHOENIX_API_KEY": "k", "PHOENIX_PROJECT_NAME": "tea"},
        "/v1/traces",
        {"authorization": "Bearer k"},
    ),
    "langsmith": (
        {"LANGSMITH_API_KEY": "k", "LANGSMITH_PROJECT": "tea"},
        "/otel/v1/traces",
        {"x-api-key": "k", "langsmith-project": "tea"},
    ),
    "braintrust": (
        {"BRAINTRUST_API_KEY": "k", "BRAINTRUST_PARENT": "project_id:7"},
        "/otel/v1/traces",
        {"authorization": "Bearer k", "x-bt-parent": "project_id:7"},
    ),
    "opik": (
        {"OPIK_API_KEY": "k", "OPIK_PROJECT_NAME": "tea", "OPIK_WORKSPACE": "shop"},
        "/v1/private/otel/v1/traces",
        {"authorization": "k", "projectname": "tea", "comet-workspace": "shop"},
    ),
    "logfire": ({"LOGFIRE_TOKEN": "pylf_v1_us_k"}, "/v1/traces", {"authorization": "pylf_v1_us_k"}),
    "mlflow": ({"MLFLOW_EXPERIMENT_ID": "3"}, "/v1/traces", {"x-mlflow-experiment-id": "3"}),
    "datadog": (
        {"DD_API_KEY": "k"},
        "/v1/traces",
        {"dd-api-key": "k", "dd-otlp-source": "llmobs"},
    ),
    "honeycomb": ({"HONEYCOMB_API_KEY": "k"}, "/v1/traces", {"x-honeycomb-team": "k"}),
}
"""Each backend's own variables, its path, and the headers of a request."""


@pytest.mark.parametrize("name", CASES)
def test_a_session_reaches_each_backend_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``init("langfuse")`` with the variables that the vendor's own SDK reads."""
    env, path, headers = CASES[name]
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    with Backend() as backend:
        destination = registry.find(name).destination
        monkeypatch.setenv(destination.URL_VARIABLE, backend.url + "/")
        tracer = st.Tracer(name, spool=tmp_path, service="shop")
        with tracer.session("chat", session_id="chat 7", tags=["vip"]), tracer.span("tool"):
            pass
        assert tracer.flush(20).complete
        tracer.shutdown(5)
        (request,) = backend.requests
    assert request.path == path
    assert {key: request.headers[key] for key in headers} == headers
    assert request.headers["content-type"] == "application/x-protobuf"
    received, invalid = from_protobuf(request.body)
    assert (len(received), invalid) == (2, 0)
    assert received[0].attributes["gen_ai.conversation.id"] == "chat 7"


def translated(name: str, **arguments: Any) -> dict[str, Any]:
    attributes = {
        "session.id": "s",
        "sessiontrace.event.type": "model",
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.reasoning.output_tokens": 5,
        "tag.tags": ["a", "b"],
        "user.id": "ada",
    }
    before = dict(attributes)
    registry.find(name).destination(**arguments).translate(attributes)  # type: ignore[attr-defined]
    return {key: value for key, value in attributes.items() if before.get(key) != value}


def test_each_backend_gets_the_names_that_it_reads() -> None:
    """Beside those of the conventions, which all of them have."""
    assert translated("langfuse") == {"langfuse.trace.tags": ["a", "b"]}
    assert translated("phoenix") == {"llm.token_count.completion_details.reasoning": 5}
    assert translated("honeycomb") == {"gen_ai.conversation.id": "s"}
    assert translated("langsmith") == {
        "langsmith.span.kind": "embedding",
        "langsmith.metadata.session_id": "s",
        "langsmith.metadata.user_id": "ada",
        "langsmith.span.tags": "a,b",
        "gen_ai.system": "openai",
    }
    for name in ("braintrust", "opik", "logfire", "mlflow", "datadog"):
        assert translated(name) == {}


def test_a_key_in_the_environment_selects_no_backend() -> None:
    """Datadog's agent and MLflow's client read the same variables; prompts go nowhere by them."""
    env = {variable: value for env, _, _ in CASES.values() for variable, value in env.items()}
    assert registry.names_from_keys(env) == ("local",)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("langfuse", "secret_key"),
        ("langsmith", "api_key"),
        ("braintrust", "project"),
        ("logfire", "token"),
        ("datadog", "DD_API_KEY"),
        ("honeycomb", "HONEYCOMB_API_KEY"),
    ],
)
def test_what_is_missing_is_named_as_the_vendor_names_it(name: str, argument: str) -> None:
    """The argument and the variable."""
    with pytest.raises(ConfigError, match=argument):
        resolve((name,), {}, {})


def test_backends_on_this_machine_need_no_key() -> None:
    """Phoenix and MLflow at their usual ports; a project belongs to the resource, or a header."""
    phoenix, mlflow = resolve(("phoenix", "mlflow"), {}, {})[0]
    assert isinstance(phoenix, st.Phoenix)
    assert isinstance(mlflow, st.MLflow)
    assert phoenix.base_url == "http://localhost:6006"
    assert mlflow.request_headers() == {"x-mlflow-experiment-id": "0"}
    assert st.Phoenix(project="tea").resource() == {"openinference.project.name": "tea"}
    assert st.Braintrust(project="tea").request_headers()["x-bt-parent"] == "project_name:tea"


def test_addresses_follow_region_and_site() -> None:
    """Logfire's token names its region, Datadog's site its intake; Langfuse has two variables."""
    env = {"LOGFIRE_TOKEN": "pylf_v1_eu_k", "DD_API_KEY": "k", "DD_SITE": "datadoghq.eu"}
    logfire, datadog = resolve(("logfire", "datadog"), {}, env)[0]
    assert isinstance(logfire, st.Logfire)
    assert isinstance(datadog, st.Datadog)
    assert logfire.base_url == "https://logfire-eu.pydantic.dev"
    assert datadog.base_url == "https://otlp.datadoghq.eu"
    keys = st.Langfuse(public_key="pk", secret_key="sk")
    assert keys.complete({"LANGFUSE_HOST": "https://lf"}).base_url == "https://lf"
    assert "sk" not in repr(keys)
