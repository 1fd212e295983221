"""The vendors' own clients work unchanged against the local server; see ``run.py`` beside it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.contract, pytest.mark.slow]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("clients_run", Path(__file__).with_name("run.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


run = _load()


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with run.server() as served:
        yield served


@pytest.mark.timeout(400)
@pytest.mark.parametrize("client", run.CLIENTS, ids=lambda client: client.name)
def test_an_official_client_works_unchanged(client: Any, server: Any):
    """Its calls succeed, and what it sent is on the page as a session with its steps."""
    try:
        home = run.install(client)
    except run.NotHereError as error:
        pytest.skip(f"{client.name}: {error}")
    run.drive(client, home, server)
