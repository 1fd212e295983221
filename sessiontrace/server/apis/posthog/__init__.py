"""PostHog's API over the store."""
