"""A callback with a fault of ours: the default comes back, and one line is logged."""

from __future__ import annotations

import logging

import pytest

from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.runtime import log


@never_raises("default")
def broken(fault: BaseException) -> str:
    """Raise ``fault``."""
    raise fault


@never_raises("default")
def sound(value: str) -> str:
    """Give ``value`` back."""
    return value


def test_an_exception_becomes_the_default_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """At debug level: a user who does not ask for it sees nothing."""
    log.reset()
    with caplog.at_level(logging.DEBUG, "sessiontrace"):
        assert broken(ValueError("of ours")) == "default"
        assert broken(ValueError("again")) == "default"

    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert "broken failed: ValueError('of ours')" in record.getMessage()


def test_a_result_and_an_interrupt_pass() -> None:
    """Only exceptions are caught, and the function stays what it is."""
    assert sound("value") == "value"
    assert sound.__name__ == "sound"
    with pytest.raises(KeyboardInterrupt):
        broken(KeyboardInterrupt())
