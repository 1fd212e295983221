"""qdrant-client: searches are retrievers with points, plain and awaited."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest
from support.instrumented import instrumented
from support.own_environment import OWN_ENVIRONMENT

from sessiontrace.conformance import instrumentor
from sessiontrace.instrumentation.stores.qdrant_client import ENTRY

pytest.importorskip("qdrant_client", reason=f"qdrant_client {OWN_ENVIRONMENT}")
import qdrant_client
from qdrant_client import models

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]

POINTS = [
    models.PointStruct(id=1, vector=[1.0, 0.0], payload={"text": "rain", "year": 1}),
    models.PointStruct(id=2, vector=[0.0, 1.0], payload={"text": "snow", "year": 2}),
    models.PointStruct(id=3, vector=[0.8, 0.6], payload={"text": "hail", "year": 2}),
]
DOTS = models.VectorParams(size=2, distance=models.Distance.DOT)
LATE = models.Filter(must=[models.FieldCondition(key="year", match=models.MatchValue(value=2))])


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    running = qdrant_client.QdrantClient(":memory:")
    running.create_collection("docs", vectors_config=DOTS)
    running.upsert("docs", POINTS)
    yield running
    running.close()


def test_a_query(client: Any) -> None:
    """The size of the vector and the filter; points with texts, scores and the rest of payloads."""
    with instrumented("qdrant-client") as tracing, tracing.session():
        client.query_points("docs", query=[1.0, 0.5], limit=2, query_filter=LATE)
        client.retrieve("docs", ids=[1])
        client.scroll("docs")
    (search,) = tracing.events
    assert (search["event_name"], search["event_type"]) == ("retrieval docs", "retriever")
    assert search["inputs"]["vector"] == {"size": 2}
    assert search["inputs"]["filter"] == {"must": [{"key": "year", "match": {"value": 2}}]}
    assert search["config"] == {
        "type": "retrieval",
        "provider": "qdrant",
        "collection": "docs",
        "top_k": 2,
        "score_type": "similarity",
    }
    assert [dict(each, score=round(each["score"], 2)) for each in documents(search)] == [
        {"id": 3, "content": "hail", "score": 1.1, "metadata": {"year": 2}},
        {"id": 2, "content": "snow", "score": 0.5, "metadata": {"year": 2}},
    ]


def documents(event: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = event["outputs"]["documents"]
    return found


def test_queries_of_other_forms(client: Any) -> None:
    """By a point, by examples, fused, in groups and in a batch; numbers of vectors nowhere."""
    fused = models.FusionQuery(fusion=models.Fusion.RRF)
    prefetch = [models.Prefetch(query=[1.0, 0.5], limit=2)]
    example = models.RecommendQuery(recommend=models.RecommendInput(positive=[1, [0.25, 0.5]]))
    with instrumented("qdrant-client") as tracing, tracing.session():
        client.query_points("docs", query=1)
        client.query_points("docs", query=example, limit=1)
        client.query_points("docs", query=fused, prefetch=prefetch, limit=1)
        client.query_points_groups("docs", group_by="year", query=[1.0, 0.5], limit=2, group_size=1)
        requests = [models.QueryRequest(query=[1.0, 0.0], limit=1, with_payload=True)] * 2
        client.query_batch_points("docs", requests=requests)
    point, examples, fusion, groups, batch = tracing.events
    assert point["inputs"]["query"] == 1
    assert examples["inputs"]["query"]["recommend"]["positive"] == [1, {"size": 2}]
    assert fusion["inputs"]["prefetch"] == [{"query": {"size": 2}, "limit": 2}]
    assert sorted(each["group"] for each in documents(groups)) == [1, 2]
    assert groups["config"]["group_by"] == "year"
    assert batch["inputs"] == {"queries": [{"vector": {"size": 2}}] * 2}
    assert [(each["id"], each["query"]) for each in documents(batch)] == [(1, 0), (1, 1)]


@pytest.mark.asyncio
async def test_an_awaited_query() -> None:
    """The client of its own class, and a search that fails."""
    client = qdrant_client.AsyncQdrantClient(":memory:")
    await client.create_collection("docs", vectors_config=DOTS)
    await client.upsert("docs", POINTS)
    with instrumented("qdrant-client") as tracing, tracing.session():
        await client.query_points("docs", query=[1.0, 0.5], limit=1)
        with pytest.raises(ValueError, match="not found"):
            await client.query_points("nowhere", query=[1.0, 0.5])
    await client.close()
    search, failed = tracing.events
    assert documents(search)[0]["content"] == "hail"
    assert "not found" in failed["error"]


def test_a_text_is_embedded_once_below_its_search(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fastembed would load a model from a hub, so here the vectors come from the test."""
    from qdrant_client.embed import embedder

    if importlib.util.find_spec("qdrant_client.embed.builtin_embedder"):
        pytest.skip("this version has no embedder without fastembed")
    name = "sentence-transformers/all-MiniLM-L6-v2"
    monkeypatch.setattr(embedder.Embedder, "_embed_dense_text", lambda *_: [[1.0, 0.5]])
    monkeypatch.setattr(embedder.FastEmbedMisc, "is_supported_text_model", lambda *_: True)
    monkeypatch.setattr(embedder.FastEmbedMisc, "import_fastembed", lambda: None)
    with instrumented("qdrant-client") as tracing, tracing.session():
        client.query_points("docs", query=models.Document(text="wet?", model=name), limit=1)
    assert tracing.paths == ["retrieval docs", f"retrieval docs/embeddings {name}"]
    assert tracing.event("retrieval docs")["inputs"]["query"] == "wet?"
    vectors = tracing.event(f"embeddings {name}")
    assert (vectors["event_type"], vectors["inputs"]) == ("embedding", {"input": "wet?"})
    assert vectors["outputs"] == {"embeddings": 1, "dimensions": 2}


def test_the_instrumentor_breaks_nothing(client: Any) -> None:
    """The suite that third parties are asked to run."""
    results = instrumentor.run(
        instrumentor.Library(
            ENTRY.make,
            importlib.import_module(ENTRY.target),
            call=lambda: client.query_points("docs", query=[1.0, 0.5], limit=1),
            fail=lambda: client.query_points("nowhere", query=[1.0, 0.5]),
            type="retriever",
        )
    )
    assert all(result.passed for result in results), instrumentor.report(results)
