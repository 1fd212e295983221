"""pgvector through psycopg, asyncpg and SQLAlchemy on a real Postgres: searches are retrievers."""

from __future__ import annotations

import importlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import instrumented
from support.own_environment import OWN_ENVIRONMENT

from sessiontrace.conformance import instrumentor
from sessiontrace.instrumentation.stores.pgvector import ENTRY

pytest.importorskip("pgvector", reason=f"pgvector {OWN_ENVIRONMENT}")

import asyncpg
import numpy as np
import pgvector.asyncpg
import pgvector.psycopg
import psycopg
import sqlalchemy
import sqlalchemy.ext.asyncio
from pgvector.sqlalchemy import Vector
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # platformdirs', where XDG_RUNTIME_DIR is not set
    import pgserver

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

NEAREST = (
    "SELECT id, content, year, embedding, embedding <=> %s AS distance FROM items "
    "WHERE year < %s ORDER BY distance LIMIT %s"
)
RAIN = {"id": 1, "content": "rain", "score": 0.0, "metadata": {"year": 1}}


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str]
    year: Mapped[int]
    embedding: Mapped[Any] = mapped_column(Vector(2))


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    """A Postgres with pgvector, which the package ``pgserver`` brings, as a user of its own."""
    folder = tempfile.mkdtemp(prefix="sessiontrace-")
    server = pgserver.get_server(folder, cleanup_mode="stop")
    with psycopg.connect(server.get_uri()) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(
            "CREATE TABLE items (id int PRIMARY KEY, content text, year int, embedding vector(2))"
        )
        connection.execute(
            "INSERT INTO items VALUES (1, 'rain', 1, '[1,0]'), (2, 'snow', 2, '[0,1]'), "
            "(3, 'hail', 9, '[1,0.5]')"
        )
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture
def connection(uri: str) -> Iterator[Any]:
    with psycopg.connect(uri) as opened:
        pgvector.psycopg.register_vector(opened)
        yield opened


def test_a_statement_with_a_distance(connection: Any) -> None:
    """Size, filter and limit; rows with ids, texts and distances; the program's rows as ever."""
    with instrumented("pgvector") as tracing, tracing.session():
        cursor = connection.cursor(row_factory=dict_row)
        rows = cursor.execute(NEAREST, (np.array([2.0, 0.0]), 5, 2)).fetchall()
        connection.execute("SELECT content FROM items WHERE year < %s", (5,)).fetchall()
        connection.execute("SELECT '<=>'").fetchall()
        connection.execute("CREATE INDEX ON items USING hnsw (embedding vector_cosine_ops)")
    assert [row["id"] for row in rows] == [1, 2]
    (search,) = tracing.events
    assert (search["event_name"], search["event_type"]) == ("retrieval items", "retriever")
    assert search["inputs"] == {
        "statement": NEAREST,
        "vector": {"size": 2},
        "filter": "year < %s",
        "parameters": [{"size": 2}, 5, 2],
    }
    assert search["config"] == {
        "type": "retrieval",
        "provider": "pgvector",
        "collection": "items",
        "top_k": 2,
        "metric": "cosine",
        "score_type": "distance",
    }
    assert search["outputs"]["documents"] == [
        RAIN,
        {"id": 2, "content": "snow", "score": 1.0, "metadata": {"year": 2}},
    ]


def test_statements_of_other_forms(uri: str) -> None:
    """With literals, by name, composed, as bytes, on the server; without registered types."""
    with psycopg.connect(uri) as connection, instrumented("pgvector") as tracing:
        with tracing.session():
            run = connection.execute
            run("SELECT id, content FROM items ORDER BY embedding <-> '[1,0.1]' LIMIT 1")
            run(
                "WITH near AS (SELECT * FROM items ORDER BY embedding <#> %(v)s::vector LIMIT "
                "%(n)s) SELECT id, content FROM near",
                {"v": "[1,-0.5]", "n": 1},
            )
            composed = SQL("SELECT id, content FROM {} ORDER BY l2_distance(embedding, '[1,0]')")
            run(composed.format(Identifier("items")))
            run(b"SELECT content FROM items ORDER BY embedding <=> '[1,0]'")
            run("SELECT point '(0,0)' <-> point '(1,1)'")
            with connection.cursor("named") as cursor:
                cursor.execute("SELECT id FROM items ORDER BY embedding <=> '[1,0]' LIMIT 3")
                assert len(cursor.fetchall()) == 3
            with pytest.raises(psycopg.errors.UndefinedColumn):
                run("SELECT id FROM items ORDER BY nothing <=> '[1,0]'")
    literal, named, composite, encoded, on_server, failed = tracing.events
    assert literal["inputs"]["statement"].endswith("<-> '[2 numbers]' LIMIT 1")
    assert [event["config"].get("top_k") for event in (literal, named, on_server)] == [1, 1, 3]
    assert named["outputs"] == literal["outputs"] == {"documents": [{"id": 1, "content": "rain"}]}
    assert named["inputs"]["parameters"] == {"v": {"size": 2}, "n": 1}
    assert [event["config"]["collection"] for event in (composite, encoded)] == ["items"] * 2
    assert "outputs" not in on_server
    assert failed["error"].startswith("UndefinedColumn")


@pytest.mark.asyncio
async def test_awaited_statements(uri: str) -> None:
    """psycopg's asynchronous cursors, and asyncpg with a pool and with prepared statements."""
    connection = await psycopg.AsyncConnection.connect(uri)
    pool = await asyncpg.create_pool(uri, init=pgvector.asyncpg.register_vector, min_size=1)
    numbered = NEAREST.replace("%s", "$1", 1).replace("%s", "$2", 1).replace("%s", "$3")
    with instrumented("pgvector", "asyncpg") as tracing, tracing.session():
        await connection.execute(NEAREST.replace("%s", "%s::vector", 1), ("[2,0]", 5, 1))
        await pool.fetch(numbered, np.array([2.0, 0.0]), 5, 1)
        async with pool.acquire() as leased:
            prepared = await leased.prepare(numbered)
            await prepared.fetch(np.array([2.0, 0.0]), 5, 1)
            await leased.fetchrow(numbered, np.array([2.0, 0.0]), 5, 1)
            await leased.fetch("SELECT 1")
    await connection.close()
    await pool.close()
    assert [event["event_name"] for event in tracing.events] == ["retrieval items"] * 4
    assert [event["outputs"]["documents"] for event in tracing.events] == [[RAIN]] * 4
    assert all(event["config"]["top_k"] == 1 for event in tracing.events)
    assert all(event["inputs"]["vector"] == {"size": 2} for event in tracing.events)


@pytest.mark.asyncio
async def test_sqlalchemy_over_both_drivers(uri: str) -> None:
    """One event for each search, from the driver below."""
    nearest = sqlalchemy.select(Item).order_by(Item.embedding.cosine_distance([2.0, 0.0])).limit(1)
    host = uri.partition("host=")[2]
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://postgres@/postgres?host={host}")
    later = sqlalchemy.ext.asyncio.create_async_engine(
        f"postgresql+asyncpg://postgres@/postgres?host={host}"
    )
    with instrumented("pgvector", "asyncpg") as tracing, tracing.session():
        with Session(engine) as session:
            assert session.scalars(nearest).one().content == "rain"
        async with sqlalchemy.ext.asyncio.AsyncSession(later) as session_later:
            assert (await session_later.scalars(nearest)).one().content == "rain"
    engine.dispose()
    await later.dispose()
    assert [event["event_name"] for event in tracing.events] == ["retrieval items"] * 2
    for event in tracing.events:
        assert event["inputs"]["vector"] == {"size": 2}
        assert event["config"]["top_k"] == 1
        assert event["outputs"]["documents"][0]["content"] == "rain"


def test_the_instrumentor_breaks_nothing(connection: Any) -> None:
    """The suite that third parties are asked to run."""
    wrong = NEAREST.replace("content", "nothing")

    def fail() -> None:
        with connection.transaction():
            connection.execute(wrong, (np.array([2.0, 0.0]), 5, 1))

    results = instrumentor.run(
        instrumentor.Library(
            ENTRY.make,
            importlib.import_module(ENTRY.target),
            call=lambda: len(connection.execute(NEAREST, (np.array([2.0, 0.0]), 5, 1)).fetchall()),
            fail=fail,
            type="retriever",
        )
    )
    assert all(result.passed for result in results), instrumentor.report(results)
