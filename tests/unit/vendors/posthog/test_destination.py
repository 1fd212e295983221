"""PostHog as a destination."""

from __future__ import annotations

from sessiontrace.vendors.posthog.destination import PostHog


def test_posthogs_host_comes_from_its_own_variable() -> None:
    """Else its US cloud."""
    env = {"POSTHOG_API_KEY": "phc", "POSTHOG_HOST": "https://eu.i.posthog.com/"}
    assert PostHog().complete(env).base_url == "https://eu.i.posthog.com"
    assert PostHog().complete({}).base_url == "https://us.i.posthog.com"
