"""Each route of a vendor's document is answered by the handler for that route, and by no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from support import facts

from sessiontrace.server.app import make_app
from sessiontrace.server.connection_limits import Connections
from sessiontrace.store.retention import Retention
from sessiontrace.store.sqlite.store import SqliteStores

pytestmark = pytest.mark.contract

PREFIXES = {"honeyhive": "", "humanloop": "/v4"}


def template(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


@pytest.mark.asyncio
@pytest.mark.parametrize("vendor", PREFIXES)
async def test_a_fixed_path_is_not_taken_for_an_id(vendor: str, tmp_path: Path) -> None:
    """`/v1/events/schema` is no event of the id "schema", whichever route was added first."""
    stores = SqliteStores(tmp_path / "store.db")
    stores.open()
    app = make_app(stores, 4777, "tests", Retention(), Connections())
    try:
        for name in facts.load(vendor).routes:
            method, _, path = name.partition(" ")
            where = PREFIXES[vendor] + path
            request = make_mocked_request(method, re.sub(r"\{\w+\}", "some-id", where))
            route = (await app.router.resolve(request)).route
            if route.resource is not None:  # else the server has no such route, and says 404
                assert template(route.resource.canonical) == template(where), name
    finally:
        app.freeze()
        await app.cleanup()
