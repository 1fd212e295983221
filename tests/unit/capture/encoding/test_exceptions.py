"""An exception becomes the error of an event, whatever the interpreter is doing meanwhile."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from support.recording_tracer import Captured


def test_an_error_while_another_thread_imports_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender imports asyncio while the first span fails: the error keeps its message."""
    monkeypatch.setitem(sys.modules, "asyncio", ModuleType("asyncio"))
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))
    tracer = Captured()
    with tracer.session(), pytest.raises(TimeoutError), tracer.span():
        raise TimeoutError("no answer")
    (event,) = tracer.events
    assert event["error"] == "TimeoutError: no answer"
    assert event["metadata"]["error"]["message"] == "no answer"
