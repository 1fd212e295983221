"""Django, configured once for every test of this process: its settings cannot be set twice."""

from __future__ import annotations

import pytest


def configure_django() -> None:
    """Settings with a database in memory; skips the test where Django is not installed."""
    django = pytest.importorskip("django", reason="the contract group is not installed")
    from django.conf import settings

    if settings.configured:
        return
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        USE_TZ=True,
        ALLOWED_HOSTS=["*"],
    )
    django.setup()
