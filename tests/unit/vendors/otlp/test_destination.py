"""OTLP as a destination: OpenTelemetry's own variables."""

from __future__ import annotations

import pytest

from sessiontrace.vendors.otlp.destination import OTLP


@pytest.mark.parametrize(
    ("env", "given", "url"),
    [
        ({}, {}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/x/"}, {}, "https://c/x/v1/traces"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://t/exact"},
            {},
            "https://t/exact",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://t/exact"},
            {"endpoint": "https://mine"},
            "https://mine/v1/traces",
        ),
    ],
)
def test_otlps_address_follows_otels_rules(
    env: dict[str, str], given: dict[str, str], url: str
) -> None:
    """The endpoint is a base; the traces' own endpoint is taken as it is."""
    assert OTLP(**given).complete(env).url == url


def test_otlps_headers_come_as_otel_writes_them_and_show_nothing() -> None:
    """name=value pairs, percent-encoded; values are keys as a rule."""
    env = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret%3D, x-tenant = a ,broken"}
    destination = OTLP().complete(env)
    assert {name: value.reveal() for name, value in destination.headers.items()} == {
        "api-key": "s3cret=",
        "x-tenant": "a",
    }
    assert "s3cret" not in repr(destination)
    assert destination.fingerprint() != OTLP().complete({}).fingerprint()


@pytest.mark.parametrize("prefix", ["OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"])
def test_otlps_form_is_chosen_by_otels_variables(prefix: str) -> None:
    """Protobuf and gzip; anything else means plain JSON, and an argument outweighs them."""
    for value, protobuf in (("http/protobuf", True), ("http/json", False), ("grpc", False)):
        env = {prefix + "PROTOCOL": value}
        assert OTLP().complete(env).protobuf is protobuf
        assert OTLP(protobuf=False).complete(env).protobuf is False
    for value, packed in (("gzip", True), ("none", False)):
        env = {prefix + "COMPRESSION": value}
        assert OTLP().complete(env).gzip is packed
        assert OTLP(gzip=not packed).complete(env).gzip is not packed
    assert (OTLP().complete({}).protobuf, OTLP().complete({}).gzip) == (False, False)


def test_what_is_said_for_traces_outweighs_what_is_said_for_all() -> None:
    """OTel's rule for its variables."""
    env = {
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "none",
    }
    assert OTLP().complete(env).gzip is False


def test_a_collector_in_the_cluster_needs_no_option() -> None:
    """http://otel-collector:4318 carries neither key nor header. With a header, it is refused
    until a variable or an argument permits it.
    """
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4318"}
    assert not OTLP().complete(env).faults()
    env["OTEL_EXPORTER_OTLP_HEADERS"] = "x-key=secret"
    (fault,) = OTLP().complete(env).faults()
    assert "in the clear" in fault
    assert not OTLP(insecure=True).complete(env).faults()
    for name in ("OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_TRACES_INSECURE"):
        assert not OTLP().complete({**env, name: "True"}).faults()
        assert OTLP().complete({**env, name: "false"}).faults()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "4318"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "thrift"}, "http/json"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, "4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "OTEL_EXPORTER_OTLP_TIMEOUT"),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0"}, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"),
    ],
)
def test_what_the_exporter_cannot_follow_is_a_fault(env: dict[str, str], words: str) -> None:
    """gRPC by name or by port, other protocols, a timeout that is not a number."""
    (fault,) = OTLP().complete(env).faults()
    assert words in fault


def test_an_endpoint_that_ends_in_the_path_is_used_as_it_is() -> None:
    """OTel's exporters take the whole URL as their argument, and users copy it."""
    for env, endpoint in (
        ({}, "http://localhost:4318/v1/traces"),
        ({}, "http://localhost:4318/v1/traces/"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318/v1/traces"}, ""),
    ):
        assert OTLP(endpoint=endpoint).complete(env).url == "http://localhost:4318/v1/traces"


@pytest.mark.parametrize(("text", "seconds"), [("10000", 10), ("500", 0.5), ("30", 30)])
def test_the_timeout_is_in_milliseconds_and_small_numbers_in_seconds(
    text: str, seconds: float
) -> None:
    """The specification counts milliseconds, OTel's SDK for Python seconds."""
    assert OTLP().complete({"OTEL_EXPORTER_OTLP_TIMEOUT": text}).timeout == seconds
