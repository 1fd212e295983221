"""chromadb: queries are retrievers with documents, and what embeds their texts is below them."""

from __future__ import annotations

import contextlib
import importlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.instrumented import instrumented
from support.own_environment import OWN_ENVIRONMENT
from support.stubs.openai_api import TOOL_FIRST
from support.stubs.provider import Provider, serving

from sessiontrace.conformance import instrumentor
from sessiontrace.instrumentation.stores.chromadb import ENTRY

chromadb = pytest.importorskip("chromadb", reason=f"chromadb {OWN_ENVIRONMENT}")

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore"),
]


class Lengths(chromadb.EmbeddingFunction):
    """Vectors from the lengths of texts."""

    model_name = "lengths-1"

    def __init__(self) -> None:
        pass

    def __call__(self, input: Any) -> Any:
        if "bad" in input:
            raise ValueError("no vector")
        return [[float(len(text)), 1.0, 0.5] for text in input]


@pytest.fixture(scope="module")
def collection() -> Iterator[Any]:
    settings = chromadb.Settings(anonymized_telemetry=False)
    client = chromadb.EphemeralClient(settings)
    docs = client.create_collection("docs", embedding_function=Lengths())
    docs.add(
        ids=["a", "b", "c"],
        documents=["rain", "snow in Oslo", "a very long text about the weather"],
        metadatas=[{"year": 1}, {"year": 2}, {"year": 3}],
    )
    yield docs
    client.delete_collection("docs")


def test_a_query_by_text(collection: Any) -> None:
    """The retriever has the text, filter and documents; one embedding below it made the vector."""
    with instrumented("chromadb") as tracing, tracing.session():
        found = collection.query(query_texts=["hail"], n_results=2, where={"year": {"$lt": 3}})
    assert found["ids"] == [["a", "b"]]
    assert tracing.paths == ["retrieval docs", "retrieval docs/embeddings lengths-1"]
    search = tracing.event("retrieval docs")
    assert search["event_type"] == "retriever"
    assert search["inputs"] == {"query": "hail", "filter": {"year": {"$lt": 3}}}
    assert search["config"] == {
        "type": "retrieval",
        "provider": "chroma",
        "collection": "docs",
        "top_k": 2,
        "score_type": "distance",
    }
    assert search["outputs"]["documents"] == [
        {"id": "a", "content": "rain", "score": 0.0, "metadata": {"year": 1}},
        {"id": "b", "content": "snow in Oslo", "score": 64.0, "metadata": {"year": 2}},
    ]
    vectors = tracing.event("embeddings lengths-1")
    assert vectors["event_type"] == "embedding"
    assert vectors["inputs"] == {"input": "hail"}
    assert vectors["outputs"] == {"embeddings": 1, "dimensions": 3}


def test_queries_by_vectors(collection: Any) -> None:
    """Their numbers are recorded nowhere; each document says which query it answers."""
    with instrumented("chromadb") as tracing, tracing.session():
        collection.query(
            query_embeddings=[[4.0, 1.0, 0.5], [12.0, 1.0, 0.5]], n_results=1, include=["distances"]
        )
        collection.get(ids=["a"])
        collection.peek()
    (search,) = tracing.events
    assert search["inputs"] == {"vector": {"count": 2, "size": 3}}
    assert search["outputs"]["documents"] == [
        {"id": "a", "score": 0.0, "query": 0},
        {"id": "b", "score": 0.0, "query": 1},
    ]


def test_texts_that_are_added_are_embedded_once(collection: Any) -> None:
    """Also where it fails: the embedding has the error."""
    with instrumented("chromadb") as tracing, tracing.session():
        collection.upsert(ids=["a", "b"], documents=["rain", "snow in Oslo"])
        with pytest.raises(ValueError, match="no vector"):
            collection.query(query_texts="bad")
    assert [event["event_name"] for event in tracing.events] == [
        "embeddings lengths-1",
        "embeddings lengths-1",
        "retrieval docs",
    ]
    assert tracing.events[0]["inputs"] == {"input": ["rain", "snow in Oslo"]}
    assert tracing.failed == ["embeddings lengths-1", "retrieval docs"]


def test_a_query_inside_a_retriever_is_that_retriever(collection: Any) -> None:
    """One event, with what both know."""
    with instrumented("chromadb") as tracing, tracing.session():
        with tracing.span("look up", type="retriever", inputs={"query": "hail"}) as outer:
            collection.query(query_embeddings=[[4.0, 1.0, 0.5]], n_results=1)
            collection.query(query_embeddings=[[9.0, 1.0, 0.5]], n_results=1)
            outer.set(outputs="rain")
    (event,) = tracing.events
    assert event["event_name"] == "look up"
    assert event["config"]["collection"] == "docs"
    assert event["metadata"]["searches"] == 2
    assert event["inputs"] == {"query": "hail"}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Chroma's server, which the package brings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    command = Path(sys.executable).with_name("chroma")
    folder = tmp_path_factory.mktemp("chroma")
    process = subprocess.Popen(
        [str(command), "run", "--path", str(folder), "--port", str(number)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", number), 1):
                break
            time.sleep(0.05)
        yield number
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.asyncio
async def test_an_awaited_query(port: int) -> None:
    """A client over HTTP has collections of a class of its own."""
    settings = chromadb.Settings(anonymized_telemetry=False)
    client = await chromadb.AsyncHttpClient("127.0.0.1", port, settings=settings)
    docs = await client.create_collection("docs", embedding_function=Lengths())
    await docs.add(ids=["a"], documents=["rain"])
    with instrumented("chromadb") as tracing, tracing.session():
        await docs.query(query_texts=["hail"])
    assert tracing.paths == ["retrieval docs", "retrieval docs/embeddings lengths-1"]
    assert tracing.event("retrieval docs")["outputs"]["documents"] == [
        {"id": "a", "content": "rain", "score": 0.0}
    ]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(TOOL_FIRST) as running:
        yield running


def test_the_sdk_of_the_models_provider_adds_to_the_embedding(provider: Provider) -> None:
    """One embedding with the tokens that the provider counts."""
    pytest.importorskip("openai")
    from chromadb.utils.embedding_functions import OpenAIEmbeddingFunction

    function = OpenAIEmbeddingFunction(api_key="k", model_name="v", api_base=f"{provider.url}/v1")
    client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))
    docs = client.create_collection("paid", embedding_function=function)
    with instrumented("chromadb", "openai") as tracing, tracing.session():
        docs.add(ids=["a"], documents=["rain"])
    client.delete_collection("paid")
    assert tracing.model["event_name"] == "embeddings v"
    assert tracing.model["metadata"]["prompt_tokens"] == 4
    assert tracing.model["inputs"] == {"input": "rain"}


def test_the_instrumentor_breaks_nothing(collection: Any) -> None:
    """The suite that third parties are asked to run."""
    results = instrumentor.run(
        instrumentor.Library(
            ENTRY.make,
            importlib.import_module(ENTRY.target),
            call=lambda: collection.query(query_embeddings=[[4.0, 1.0, 0.5]], n_results=1)["ids"],
            fail=lambda: collection.query(query_embeddings=[[4.0]], n_results=1),
            type="retriever",
        )
    )
    assert all(result.passed for result in results), instrumentor.report(results)
