"""Which certificates count, and what is wrong with files that cannot be used."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.certificates import Authority, make_authority
from support.patience import patience

import sessiontrace as st
from sessiontrace.config import resolve
from sessiontrace.model.errors import ConfigError
from sessiontrace.model.network import Network

URL = "https://api.example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Certificates of a private authority."""
    return make_authority(tmp_path_factory.mktemp("authority"))


def sources(network: Network) -> list[str]:
    """The arguments and variables whose certificates are trusted."""
    files = [network.ca_file] if network.ca_file else network.extra_authorities
    return [source for _, source in files]


def test_the_first_of_argument_own_variable_openssls_and_requests_variable_counts() -> None:
    """ca_file=, the vendor's own variables, SSL_CERT_*, REQUESTS_CA_BUNDLE."""
    env = {"REQUESTS_CA_BUNDLE": "r"}
    assert sources(Network.of(URL, env)) == ["REQUESTS_CA_BUNDLE"]
    env |= {"SSL_CERT_FILE": "f", "SSL_CERT_DIR": "d"}
    together = ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"]
    assert sources(Network.of(URL, env)) == together
    assert sources(Network.of(URL, env | {"REQUESTS_CA_BUNDLE": "f"})) == together[:2]
    for name in ("OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"):
        env[name] = "o"
        network = st.OTLP(endpoint=URL).complete(env).network
        assert network is not None
        assert sources(network) == [name]
    network = st.OTLP(endpoint=URL, ca_file="a").complete(env).network
    assert network is not None
    assert sources(network) == ["ca_file="]
    assert sources(Network.of("http://localhost:4318", {"SSL_CERT_FILE": "f"})) == []


def faults(**options: object) -> str:
    """The text of the ConfigError for a destination with these options."""
    with pytest.raises(ConfigError) as caught:
        resolve((st.HoneyHive(api_key="k", **options),), {"spool": False}, {})  # type: ignore[arg-type]
    return str(caught.value)


def test_bad_files_are_configuration_errors_that_name_the_argument(
    authority: Authority, tmp_path: Path
) -> None:
    """A missing file, a file without PEM, a key alone, a foreign key, a certificate alone."""
    words = tmp_path / "words.pem"
    words.write_text("not PEM")
    other = make_authority(tmp_path / "other")
    assert "ca_file= " in faults(ca_file=tmp_path / "none.pem")
    assert "does not exist" in faults(ca_file=tmp_path / "none.pem")
    assert "PEM" in faults(ca_file=words)
    assert "client_key= " in faults(client_key=authority.key)
    assert "client_cert=" in faults(client_key=authority.key)
    assert "client_key=" in faults(client_cert=authority.cert)
    assert "PEM" in faults(client_cert=words, client_key=authority.key)
    assert "not that of" in faults(client_cert=authority.cert, client_key=other.key)
    assert "cannot be read" in faults(client_cert=tmp_path)


def test_variables_with_bad_files_are_named(tmp_path: Path) -> None:
    """OpenTelemetry's own and those of OpenSSL and requests."""
    missing = str(tmp_path / "none.pem")
    for name in (
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    ):
        with pytest.raises(ConfigError, match=name):
            resolve((st.OTLP(endpoint=URL),), {"spool": False}, {name: missing})


def test_an_encrypted_key_is_refused_and_asks_for_no_passphrase(
    authority: Authority, tmp_path: Path
) -> None:
    """A program at work has no terminal to answer on."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the openssl program is not there to encrypt a key")
    key = tmp_path / "encrypted.key"
    subprocess.run(
        [program, "pkey", "-in", authority.key, "-aes256", "-passout", "pass:secret", "-out", key],
        check=True, capture_output=True, timeout=patience(30),
    )  # fmt: skip
    assert "client_key= " in faults(client_cert=authority.cert, client_key=key)
    assert "encrypted" in faults(client_cert=authority.cert, client_key=key)


def test_one_file_may_hold_certificate_and_key(authority: Authority, tmp_path: Path) -> None:
    """And a directory may hold the authorities."""
    both = tmp_path / "both.pem"
    both.write_bytes(authority.cert.read_bytes() + authority.key.read_bytes())
    target = st.HoneyHive(api_key="k", client_cert=both, ca_file=authority.ca.parent)
    assert not target.complete({}).faults()
    assert not st.HoneyHive(api_key="k").complete({"SSL_CERT_FILE": str(authority.ca)}).faults()
