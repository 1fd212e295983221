"""Destinations of vendors: what they take from the environment, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.config import resolve
from sessiontrace.model.errors import ConfigError
from sessiontrace.vendors.honeyhive.destination import HoneyHive
from sessiontrace.vendors.humanloop.destination import Humanloop
from sessiontrace.vendors.otlp.destination import OTLP
from sessiontrace.vendors.posthog.destination import PostHog

KEYS = {
    "HH_API_KEY": "hh",
    "HUMANLOOP_API_KEY": "hl",
    "HUMANLOOP_BASE_URL": "http://127.0.0.1:1",
    "POSTHOG_API_KEY": "phc",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
}


def kinds(env: dict[str, str]) -> list[str]:
    return [
        one.kind for one in resolve((), {"spool": False}, {**env, "SESSIONTRACE_STORE": "s"})[0]
    ]


def test_with_nothing_given_every_vendor_whose_key_is_set_is_meant() -> None:
    """And the local store where there is none."""
    assert kinds(KEYS) == ["honeyhive", "humanloop", "posthog", "otlp"]
    assert kinds({"POSTHOG_API_KEY": "phc"}) == ["posthog"]
    assert kinds({}) == ["local"]


def test_a_humanloop_key_alone_is_a_leftover() -> None:
    """The hosted service has closed: without an address the key opens nothing."""
    assert kinds({"HUMANLOOP_API_KEY": "hl"}) == ["local"]
    with pytest.raises(ConfigError, match="closed in September 2025"):
        resolve(("humanloop",), {}, {"HUMANLOOP_API_KEY": "hl"})


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        ({"base_url": "http://localhost:8"}, "http://localhost:8/v4"),
        ({"base_url": "http://localhost:8/humanloop/"}, "http://localhost:8/humanloop/v4"),
        ({"base_url": "http://localhost:8/v4/"}, "http://localhost:8/v4"),
        ({"base_url": "http://localhost:8", "version": 5}, "http://localhost:8/v5"),
    ],
)
def test_humanloops_version_is_part_of_its_address(given: Any, base_url: str) -> None:
    """As in the official clients, and added where it is left out."""
    found = Humanloop(api_key="k", **given).complete({})
    assert found.base_url == base_url
    assert not found.faults()


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        (Humanloop(api_key="k", base_url="http://localhost/v5"), "another version"),
        (Humanloop(api_key="k", base_url="http://localhost", version=6), "version must be 4 or 5"),
        (Humanloop(api_key="k", base_url="http://localhost", project=" "), "project"),
        (PostHog(api_key="k", start_at="yesterday"), "start_at must be 'newest' or 'oldest'"),
        (Humanloop(base_url="http://localhost"), "HUMANLOOP_API_KEY"),
        (PostHog(api_key="phx_1"), "personal"),
        (PostHog(), "POSTHOG_API_KEY"),
        (PostHog(api_key="k", base_url="http://example.org"), "allow_insecure=True"),
        (HoneyHive(api_key="k", base_url="http://example.org"), "allow_insecure=True"),
        (OTLP(endpoint="http://example.org"), "allow_insecure=True"),
        (OTLP(endpoint="https://user:pass@example.org"), "use headers="),
        (OTLP(endpoint="ftp://example.org"), "endpoint must start with"),
        (OTLP(headers={"a b": "c"}), "header 'a b'"),
        (OTLP(headers={"a": "c\nd"}), "header 'a'"),
    ],
)
def test_what_cannot_work_is_named_with_its_mend(destination: Any, words: str) -> None:
    """One sentence, with the argument and the variable; never with the key."""
    faults = destination.complete({}).faults()
    assert any(words in fault for fault in faults)
    assert "phx_1" not in str(faults)
    assert "pass@" not in str(faults)


def test_plain_http_to_another_host_is_allowed_when_asked_for() -> None:
    """In a private network, say."""
    for kind, field in ((HoneyHive, "base_url"), (PostHog, "base_url"), (OTLP, "endpoint")):
        given = {field: "http://collector:4318", "allow_insecure": True}
        given |= {} if kind is OTLP else {"api_key": "k"}
        assert not kind(**given).complete({}).faults()


def test_posthogs_host_comes_from_its_own_variable() -> None:
    """Else its US cloud."""
    env = {"POSTHOG_API_KEY": "phc", "POSTHOG_HOST": "https://eu.i.posthog.com/"}
    assert PostHog().complete(env).base_url == "https://eu.i.posthog.com"
    assert PostHog().complete({}).base_url == "https://us.i.posthog.com"


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
    found = OTLP().complete(env)
    assert {name: one.reveal() for name, one in found.headers.items()} == {
        "api-key": "s3cret=",
        "x-tenant": "a",
    }
    assert "s3cret" not in repr(found)
    assert found.fingerprint() != OTLP().complete({}).fingerprint()


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


def test_places_that_differ_have_fingerprints_that_differ() -> None:
    """A spool's records for one project never go to another."""
    places = [
        Humanloop(api_key="k", base_url="http://localhost"),
        Humanloop(api_key="k", base_url="http://localhost", version=5),
        Humanloop(api_key="k", base_url="http://localhost", project="other"),
        Humanloop(api_key="other", base_url="http://localhost"),
        PostHog(api_key="k"),
        OTLP(),
        OTLP(headers={"a": "b"}),
    ]
    prints = [one.complete({}).fingerprint() for one in places]
    assert len(set(prints)) == len(prints)
