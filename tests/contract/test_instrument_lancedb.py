"""lancedb: searches by vector, text and both are retrievers with rows; vectors are made once."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from support.instrumented import instrumented
from support.own_environment import OWN_ENVIRONMENT

from sessiontrace.conformance import instrumentor
from sessiontrace.instrumentation.stores.lancedb import ENTRY

pytest.importorskip("lancedb", reason=f"lancedb {OWN_ENVIRONMENT}")

import lancedb
from lancedb.embeddings import EmbeddingFunctionRegistry, TextEmbeddingFunction, register
from lancedb.pydantic import LanceModel, Vector

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]


@register("lengths")
class Lengths(TextEmbeddingFunction):
    """Vectors from the lengths of texts."""

    name: str = "lengths-1"

    def generate_embeddings(self, texts: Any, *args: Any, **kwargs: Any) -> Any:
        return [[float(len(text)), 1.0] for text in texts]

    def ndims(self) -> int:
        return 2


LENGTHS = EmbeddingFunctionRegistry.get_instance().get("lengths").create()


class Page(LanceModel):
    id: str
    text: str = LENGTHS.SourceField()
    vector: Vector(2) = LENGTHS.VectorField()  # type: ignore[valid-type]
    year: int


PAGES = [
    {"id": "a", "text": "rain", "year": 1},
    {"id": "b", "text": "snow in Oslo", "year": 2},
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    db = lancedb.connect(tmp_path_factory.mktemp("lance"))
    pages = db.create_table("pages", schema=Page)
    pages.add(PAGES)
    pages.create_fts_index("text")
    return pages


def test_a_search_by_vector(table: Any) -> None:
    """The size of the vector, the filter and the rows, in whatever form the program takes them."""
    with instrumented("lancedb") as tracing, tracing.session():
        rows = table.search([4.0, 1.0]).where("year < 9").limit(1).to_list()
        table.search([4.0, 1.0]).limit(1).to_arrow()
        table.search().where("year < 9").to_list()
    assert len(tracing.events) == 2
    assert len(rows[0]["vector"]) == 2
    search = tracing.events[0]
    assert (search["event_name"], search["event_type"]) == ("retrieval pages", "retriever")
    assert search["inputs"] == {"vector": {"size": 2}, "filter": "year < 9"}
    assert search["config"] == {
        "type": "retrieval",
        "provider": "lancedb",
        "collection": "pages",
        "top_k": 1,
        "score_type": "distance",
    }
    assert search["outputs"] == tracing.events[1]["outputs"] == {
        "documents": [{"id": "a", "content": "rain", "score": 0.0, "metadata": {"year": 1}}]
    }  # fmt: skip


def test_texts_are_embedded_once(table: Any) -> None:
    """The function's event is beside the search, because ``search`` calls it at once."""
    with instrumented("lancedb") as tracing, tracing.session():
        table.search("hail").limit(1).to_list()
        table.add([])
    vectors, search = tracing.events
    assert (vectors["event_name"], vectors["event_type"]) == ("embeddings lengths-1", "embedding")
    assert vectors["inputs"] == {"input": "hail"}
    assert vectors["outputs"] == {"embeddings": 1, "dimensions": 2}
    assert search["inputs"] == {"query": "hail", "vector": {"size": 2}}


def test_searches_by_text_and_by_both(table: Any) -> None:
    """A hybrid search is one event, although its halves run in threads of their own."""
    with instrumented("lancedb") as tracing, tracing.session():
        table.search("rain", query_type="fts").limit(1).to_list()
        table.search("rain", query_type="hybrid").limit(1).to_list()
    assert tracing.paths == [
        "retrieval pages",
        "retrieval pages",
        "retrieval pages/embeddings lengths-1",
    ]
    texts = [event for event in tracing.events if event["event_type"] == "retriever"]
    assert [event["inputs"]["query"] for event in texts] == ["rain", "rain"]
    assert [event["outputs"]["documents"][0]["id"] for event in texts] == ["a", "a"]
    assert [event["config"]["score_type"] for event in texts] == ["similarity"] * 2
    assert len({event["session_id"] for event in tracing.events}) == 1


@pytest.mark.asyncio
async def test_awaited_searches(table: Any, tmp_path: Any) -> None:
    """Queries of an asynchronous connection, by vector, by text and by both."""
    db = await lancedb.connect_async(tmp_path)
    pages = await db.create_table("pages", [{**page, "vector": [4.0, 1.0]} for page in PAGES])
    await pages.create_index("text", config=lancedb.index.FTS())
    with instrumented("lancedb") as tracing, tracing.session():
        await pages.query().nearest_to([4.0, 1.0]).limit(1).to_list()
        await pages.query().nearest_to_text("rain").limit(1).to_list()
        both = pages.query().nearest_to([4.0, 1.0]).nearest_to_text("rain").limit(1)
        await both.to_list()
        await pages.query().where("year < 9").to_list()
    assert [event["event_name"].split()[0] for event in tracing.events] == ["retrieval"] * 3
    vector, text, hybrid = tracing.events
    assert vector["inputs"] == {"vector": {"size": 2}}
    assert text["inputs"] == {"query": "rain"}
    assert hybrid["inputs"] == {"query": "rain", "vector": {"size": 2}}
    assert [event["config"]["top_k"] for event in tracing.events] == [1, 1, 1]
    assert all(event["outputs"]["documents"][0]["content"] for event in tracing.events)


def test_the_instrumentor_breaks_nothing(table: Any) -> None:
    """The suite that third parties are asked to run."""
    results = instrumentor.run(
        instrumentor.Library(
            ENTRY.make,
            importlib.import_module(ENTRY.target),
            call=lambda: table.search([4.0, 1.0]).limit(1).to_list(),
            fail=lambda: table.search([4.0, 1.0]).where("nothing = 1").to_list(),
            type="retriever",
        )
    )
    assert all(result.passed for result in results), instrumentor.report(results)
