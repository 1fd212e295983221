"""Destinations: what they take from the environment, what they refuse, which are the same."""

from __future__ import annotations

from typing import Any

import pytest

from sessiontrace.config import resolve
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
        (OTLP(endpoint="http://example.org", headers={"a": "b"}), "allow_insecure=True"),
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
