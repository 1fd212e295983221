"""PostHog: its AI observability events, and its Sessions API."""
