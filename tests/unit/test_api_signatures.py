"""What static tools see of the API is what there is."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest

import sessiontrace as st
from sessiontrace import api, api_signatures

REPO = Path(__file__).resolve().parents[2]


def test_the_signatures_are_those_of_the_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python tools/api_signatures.py` writes the module anew."""
    monkeypatch.syspath_prepend(str(REPO / "tools"))
    monkeypatch.delitem(sys.modules, "api_signatures", raising=False)
    import api_signatures as tool  # type: ignore[import-not-found]

    assert tool.PLACE.read_text() == tool.signatures()


@pytest.mark.parametrize("name", api.__all__)
def test_a_function_is_documented_as_the_method_that_it_is(name: str) -> None:
    """At run time a name is the tracer's method; static tools see the function."""
    method, function = getattr(st, name), getattr(api_signatures, name)
    assert inspect.ismethod(method)
    assert inspect.getdoc(function) == inspect.getdoc(method) != ""
    passed_on = {"options"}  # by chain, model and tool, whose overloads name them
    assert {*inspect.signature(method).parameters} - passed_on <= {
        *inspect.signature(function).parameters
    }


def test_dir_shows_public_names_only() -> None:
    """What a completion in a notebook offers, without our imports."""
    assert set(dir(st)) == {*st.__all__, "testing"}
