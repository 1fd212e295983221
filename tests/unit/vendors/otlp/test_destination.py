"""OTLP as a destination: OpenTelemetry's own variables."""

from __future__ import annotations

import pytest

from sessiontrace.config import resolve
from sessiontrace.model.errors import ConfigError
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
    """JSON and gzip; the default is plain protobuf, as OTel's. An argument outweighs them."""
    for value, protobuf in (("http/protobuf", True), ("http/json", False)):
        env = {prefix + "PROTOCOL": value}
        assert OTLP().complete(env).protobuf is protobuf
        assert OTLP(protobuf=False).complete(env).protobuf is False
    for value, packed in (("gzip", True), ("none", False)):
        env = {prefix + "COMPRESSION": value}
        assert OTLP().complete(env).gzip is packed
        assert OTLP(gzip=not packed).complete(env).gzip is not packed
    assert (OTLP().complete({}).protobuf, OTLP().complete({}).gzip) == (True, False)


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
        ({"OTEL_RESOURCE_ATTRIBUTES": "team"}, "OTEL_RESOURCE_ATTRIBUTES"),
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": "none"}, "OTEL_ATTRIBUTE_COUNT_LIMIT"),
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


@pytest.mark.parametrize(
    ("sampler", "argument", "rate"),
    [
        ("always_on", "", 1.0),
        ("always_off", "", 0.0),
        ("traceidratio", "0.25", 0.25),
        ("parentbased_traceidratio", "0.5", 0.5),
        ("parentbased_always_on", "", 1.0),
        ("traceidratio", "", 1.0),
    ],
)
def test_otels_sampler_decides_where_nothing_else_does(
    sampler: str, argument: str, rate: float
) -> None:
    """Only for a program that exports over OTLP, and ``sample=`` outweighs it."""
    env = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    otlp = {**env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:1"}
    assert resolve((), {}, otlp)[1].sample.rate == rate
    assert resolve((), {"sample": 0.75}, otlp)[1].sample.rate == 0.75
    assert resolve(("local",), {}, env)[1].sample.rate == 1.0


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_TRACES_SAMPLER": "xray"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
    ],
)
def test_a_sampler_that_cannot_be_followed_is_refused(env: dict[str, str]) -> None:
    """A name of a vendor's sampler, and a share that is none."""
    with pytest.raises(ConfigError, match="OTEL_TRACES_SAMPLER"):
        resolve(("otlp",), {}, env)
