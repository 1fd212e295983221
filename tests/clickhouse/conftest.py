"""One ClickHouse engine for all tests of a run, and a project of their own for each of them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from sessiontrace.model.ids import new_id
from sessiontrace.store.clickhouse import schema
from sessiontrace.store.clickhouse.connection import Connection
from sessiontrace.store.clickhouse.store import ClickHouseStore
from sessiontrace.store.clickhouse.url import parse
from sessiontrace.store.protocol import Store
from sessiontrace.store.sqlite.store import SqliteStore

ABSENT = [name for name in ("chdb", "clickhouse_connect") if not importlib.util.find_spec(name)]


@attrs.frozen
class Engine:
    """A running engine; ``url`` names a database in it that tests may migrate or leave alone."""

    port: int

    def url(self, database: str = "traces") -> str:
        return f"clickhouse://127.0.0.1:{self.port}/{database}"

    def line(self, database: str = "traces", **options: Any) -> Connection:
        return Connection(parse(self.url(database)), **options)

    def seen(self) -> dict[str, dict[str, str]]:
        """The settings of the last insert into each table."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen", timeout=10) as reply:
            found: dict[str, dict[str, str]] = json.load(reply)
        return found


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """ClickHouse's engine behind its HTTP protocol, with the tables in its database ``traces``."""
    if ABSENT:
        pytest.skip(f"{' and '.join(ABSENT)}: pip install --group clickhouse")
    folder = tmp_path_factory.mktemp("engine")
    script = Path(__file__).with_name("engine.py")
    with (folder / "stderr").open("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip().isdigit(), (folder / "stderr").read_text()
        made = Engine(int(line))
        way = made.line()
        schema.migrate(way)
        way.close()
        yield made
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def clickhouse(engine: Engine) -> Iterator[ClickHouseStore]:
    """A store in ClickHouse, empty: its project is its own."""
    line = engine.line()
    yield ClickHouseStore(line, f"test-{new_id()}")
    line.close()


@pytest.fixture(params=["sqlite", "clickhouse"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each store that there is, empty."""
    if request.param == "clickhouse":
        yield request.getfixturevalue("clickhouse")
        return
    made = SqliteStore(tmp_path / "store.db")
    yield made
    made.close()
