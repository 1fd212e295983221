"""A program runs in a cluster or behind a company's proxy: it reaches its backend from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.certificates import Authority, make_authority
from support.fake_backend import Backend
from support.proxy import Proxy
from support.subprocesses import run

PROGRAM = """
import sessiontrace as st
st.init(spool=False, exit_timeout=10)
with st.session("a session"):
    with st.span("a step"):
        pass
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private authority, as a company has one."""
    return make_authority(tmp_path_factory.mktemp("authority"))


def test_a_collector_beside_the_program_needs_no_https(backend: Backend, tmp_path: Path) -> None:
    """``http://otel-collector:4318`` by name, reached through HTTP_PROXY, without a key."""
    with Proxy({"otel-collector": backend.port}) as proxy:
        run(
            PROGRAM, tmp_path, HTTP_PROXY=proxy.url, http_proxy=proxy.url,
            OTEL_EXPORTER_OTLP_ENDPOINT="http://otel-collector:4318",
        )  # fmt: skip
    assert {request.path for request in backend.requests} == {"/v1/traces"}


def test_a_key_goes_through_the_companys_proxy(authority: Authority, tmp_path: Path) -> None:
    """HTTPS_PROXY and REQUESTS_CA_BUNDLE, as they are set on a company's machines."""
    with Backend(tls=authority.server) as backend:
        with Proxy({"backend.invalid": backend.port}) as proxy:
            run(
                PROGRAM, tmp_path, HH_API_KEY="k", HH_API_URL="https://backend.invalid",
                HTTPS_PROXY=proxy.url, REQUESTS_CA_BUNDLE=str(authority.ca),
            )  # fmt: skip
        assert backend.requests


def test_the_collectors_certificates_are_those_of_opentelemetry(
    authority: Authority, tmp_path: Path
) -> None:
    """A collector that wants a client certificate, by OpenTelemetry's variables."""
    with Backend(tls=authority.strict_server) as backend:
        run(
            PROGRAM, tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.url,
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(authority.ca),
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(authority.cert),
            OTEL_EXPORTER_OTLP_CLIENT_KEY=str(authority.key),
        )  # fmt: skip
        assert backend.requests


def test_an_endpoint_with_its_path_is_used_as_it_is(backend: Backend, tmp_path: Path) -> None:
    """Many documents name the whole URL, ``/v1/traces`` included."""
    run(PROGRAM, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"{backend.url}/v1/traces")
    assert {request.path for request in backend.requests} == {"/v1/traces"}


GRPC = """
import sessiontrace as st
try:
    st.Tracer(spool=False)
except st.ConfigError as error:
    print(error)
"""


def test_grpc_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """Port 4317 speaks gRPC, which is not spoken here: the message names what is."""
    program = run(
        GRPC, tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317", OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
    )  # fmt: skip
    assert "http/protobuf" in program.stdout
    assert "4318" in program.stdout


LOOPBACK = """
import sessiontrace as st
st.Tracer(st.HoneyHive(api_key="k", base_url="http://127.0.0.2:1"), spool=False)
print("accepted")
"""


def test_every_loopback_address_is_this_machine(tmp_path: Path) -> None:
    """A key may go to 127.0.0.2 over plain HTTP: it does not leave the machine."""
    assert run(LOOPBACK, tmp_path).stdout == "accepted\n"
