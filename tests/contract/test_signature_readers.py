"""Frameworks that call our functions by their signatures: pydantic and FastAPI, as installed."""

from __future__ import annotations

import fastapi
import pydantic
import pytest
from fastapi.testclient import TestClient

import sessiontrace as st


def test_pydantic_checks_arguments_and_results() -> None:
    """``validate_call`` resolves the whole signature when it decorates a function."""
    config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    checked = pydantic.validate_call(config=config, validate_return=True)
    assert isinstance(checked(st.stats)(), st.Stats)
    with pytest.raises(pydantic.ValidationError, match="parent"):
        checked(st.start_span)("step", parent=7)  # type: ignore[arg-type]


def test_fastapi_injects_the_current_session() -> None:
    """``Depends`` reads the hints of what it calls."""
    app = fastapi.FastAPI()

    @app.get("/")
    def root(session: object = fastapi.Depends(st.current_session)) -> str:
        return repr(session)

    assert TestClient(app).get("/").json() == "<sessiontrace no-op>"
