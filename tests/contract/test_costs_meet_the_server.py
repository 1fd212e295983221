"""What a call used and cost is the same number everywhere: in each vendor's request, in the local
server behind each vendor's API, in both stores' summaries, in the terminal.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.instrumented import instrumented
from support.roads import ROADS, road
from support.server_process import Served, serving
from support.stubs import openai_api
from support.stubs.provider import serving as provider

import sessiontrace as st
from sessiontrace.cli import main
from sessiontrace.model.record import EVENT, Record
from sessiontrace.pricing.pricer import Pricer
from sessiontrace.pricing.prices import parse_prices
from sessiontrace.store.models import SessionQuery
from sessiontrace.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.contract

PRICES = {"m-1": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write_1h": 6.0}}
ANY_MODEL = {"*": {"input": 1.0, "output": 1.0}}
COUNTS = {
    "prompt_tokens": 51_000,
    "completion_tokens": 200,
    "cache_read_tokens": 50_000,
    "cache_write_tokens": 500,
    "cache_write_1h_tokens": 500,
    "reasoning_tokens": 40,
}
COST = (500 * 3.0 + 50_000 * 0.3 + 500 * 6.0 + 200 * 15.0) / 1e6
EXTRA = {
    "response_model": "m-1-2026",
    "framework": "langgraph",
    "agent_name": "planner",
    "prompt_name": "greeting",
    "prompt_version": "7",
    "server_address": "api.example.com",
    "web_search_requests": 2,
}


def call(tracer: st.Tracer, model: str, **metadata: Any) -> None:
    """A call of a Claude-like model, as an instrumentor records it."""
    config = {"model": model, "provider": "anthropic"}
    chat = {"chat_history": [{"role": "user", "content": "?"}]}
    with tracer.span("ask", type="model", inputs=chat, config=config) as span:
        span.set(outputs={"role": "assistant", "content": "!"}, metadata=metadata)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that prices nothing itself: what it shows was sent."""
    folder = tmp_path_factory.mktemp("costs")
    with serving(folder / "store.db", SESSIONTRACE_PRICES="off") as served:
        yield served


def arrived(served: Served, session_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The session and its one step as the page gets them, with the step's whole record."""
    answer = served.json(f"/api/sessions/{session_id}")
    (step,) = answer["events"]
    record = served.json(f"/api/events/{step['event_id']}")
    return answer["session"], {**step, "record": record.get("record", record)}


@pytest.mark.parametrize("name", ROADS)
def test_a_computed_cost_arrives_with_its_counts_on_every_road(
    name: str, served: Served, tmp_path: Path
) -> None:
    """Computed once, on the way out; the backend, the store and the page show the same number."""
    tracer = st.Tracer(road(name, served), spool=tmp_path / "spool", prices=PRICES)
    with tracer.session("costly") as session:
        call(tracer, "m-1", **COUNTS, **EXTRA)
    assert tracer.flush(20).complete
    tracer.shutdown(5)
    summary, step = arrived(served, session.session_id)
    assert step["tokens"] == summary["tokens"] == 51_200
    assert step["cost"] == summary["cost"] == pytest.approx(COST)
    assert summary["unpriced"] == 0
    metadata = step["record"]["metadata"]
    assert metadata["completion_cost"] == pytest.approx(0.003)
    if not name.startswith("humanloop"):  # which has fields for two counts and costs only
        assert metadata.items() >= {**COUNTS, **EXTRA, "cost_source": "custom"}.items()


@pytest.mark.parametrize("name", ROADS)
def test_an_unknown_price_is_unpriced_on_every_road(
    name: str, served: Served, tmp_path: Path
) -> None:
    """Not 0, not a guess; a reported 0 is 0."""
    tracer = st.Tracer(road(name, served), spool=tmp_path / "spool", prices=PRICES)
    with tracer.session("free") as unknown:
        call(tracer, "m-2", **COUNTS)
    with tracer.session("unknown") as free:
        call(tracer, "m-2", **COUNTS, cost=0, prompt_cost=0, completion_cost=0)
    assert tracer.flush(20).complete
    tracer.shutdown(5)
    for session, unpriced in ((unknown, 1), (free, 0)):
        summary, step = arrived(served, session.session_id)
        assert (summary["cost"], summary["unpriced"], step["unpriced"]) == (0, unpriced, unpriced)


@pytest.mark.parametrize("kind", ["agent", "guardrail", "handoff", "function", "mcp_tools"])
def test_a_step_comes_back_from_posthog_as_it_was(
    kind: str, served: Served, tmp_path: Path
) -> None:
    """Its type, its metadata and nothing more: no property that only PostHog needs."""
    metadata = {"span_kind": kind, "agent_name": "planner", "note": {"deep": [1, None]}}
    tracer = st.Tracer(road("posthog", served), spool=tmp_path / "spool")
    of_tools = kind in ("function", "mcp_tools")
    with tracer.session("there and back") as session:
        with tracer.span("step", type="tool" if of_tools else "chain", metadata=metadata):
            pass
    assert tracer.flush(20).complete
    tracer.shutdown(5)
    _, step = arrived(served, session.session_id)
    assert step["type"] == ("tool" if of_tools else "chain")
    assert step["record"]["metadata"] == metadata


# -- what PostHog's own clients count, back into our definition ---------------------------------


@pytest.mark.parametrize(
    ("properties", "prompt"),
    [
        ({"$ai_provider": "anthropic", "$ai_model": "claude-sonnet-4-5"}, 11_000),
        ({"$ai_provider": "vertex", "$ai_model": "claude-sonnet-4-5@20250929"}, 11_000),
        ({"$ai_provider": "bedrock", "$ai_model": "us.anthropic.claude-3"}, 11_000),
        ({"$ai_provider": "openai", "$ai_model": "gpt-4o"}, 1000),
        ({"$ai_provider": "gateway", "$ai_framework": "vercel", "$ai_model": "claude-x"}, 11_000),
        (
            {"$ai_provider": "anthropic", "$ai_model": "claude-x",
             "$ai_cache_reporting_exclusive": False},
            1000,
        ),
        (
            {"$ai_provider": "openai", "$ai_model": "gpt", "$ai_cache_reporting_exclusive": True},
            11_000,
        ),
    ],
)  # fmt: skip
def test_D23_posthogs_counts_come_back_with_the_cache(
    properties: dict[str, Any], prompt: int, served: Served
) -> None:
    """PostHog leaves the cache out for Anthropic's models, unless the event says otherwise."""
    trace = str(uuid.uuid4())
    event = {
        "event": "$ai_generation",
        "distinct_id": "ada",
        "properties": {
            "$ai_trace_id": trace, "$ai_span_id": "s", "$ai_input_tokens": 1000,
            "$ai_output_tokens": 50, "$ai_total_tokens": 1050,
            "$ai_cache_read_input_tokens": 8000, "$ai_cache_creation_input_tokens": 2000,
            "$ai_cache_creation_1h_input_tokens": 2000, "$ai_error_type": "RateLimitError",
            "$ai_is_error": True, "$ai_error": "slow down", **properties,
        },
    }  # fmt: skip
    body = json.dumps({"api_key": "phc_test", "batch": [event]}).encode()
    status, _, answer = served.request("/batch/", "POST", body, Content_Type="application/json")
    assert status == 200, answer
    _, step = arrived(served, trace)
    metadata = step["record"]["metadata"]
    assert (metadata["prompt_tokens"], step["tokens"]) == (prompt, prompt + 50)
    assert metadata["cache_write_1h_tokens"] == 2000
    assert metadata["error"] == {"type": "RateLimitError"}
    assert "$ai_cache_reporting_exclusive" not in metadata


# -- sums ------------------------------------------------------------------------------------


def test_a_session_and_a_conversation_add_each_call_once(tmp_path: Path) -> None:
    """Roll-ups that a framework writes on its chains and sessions are not calls."""
    tracer = st.Tracer(st.Local(path=tmp_path / "store.db"), spool=False, prices=PRICES)
    for _ in range(2):
        with (
            tracer.session("talk", session_id="one", metadata={"cost": 99.0, "total_tokens": 9}),
            tracer.span("agent", type="chain", metadata={"cost": 50.0, **COUNTS}),
        ):
            call(tracer, "m-1", **COUNTS)
            call(tracer, "m-2", **COUNTS)
            call(tracer, "m-1", cached=True)
    assert tracer.flush(20).complete
    tracer.shutdown(5)
    store = SqliteStore(tmp_path / "store.db", read_only=True)
    (summary,) = store.sessions(SessionQuery()).sessions
    assert summary.models == 6
    assert summary.cost == pytest.approx(2 * COST)
    assert summary.tokens == 4 * 51_200
    assert summary.unpriced == 2
    store.close()


@pytest.mark.filterwarnings("ignore")
def test_langchain_over_openai_is_one_call_with_one_cost(tmp_path: Path) -> None:
    """Both libraries report the call; the event, its tokens and its cost are there once."""
    langchain = pytest.importorskip("langchain_openai", reason="the contract group is missing")
    runnables = pytest.importorskip("langchain_core.runnables", reason="the group is missing")
    store, pricer = SqliteStore(tmp_path / "store.db"), Pricer(parse_prices(ANY_MODEL, "prices"))
    with instrumented("langchain", "openai") as tracer, provider(openai_api.ROUTES) as running:
        url = f"{running.url}/v1"
        model = langchain.ChatOpenAI(model="ok", base_url=url, api_key="k", max_retries=0)
        chain = runnables.RunnableLambda(lambda question: model.invoke(question))
        with tracer.session():
            chain.invoke("Hello?")
    store.write([pricer.record(Record(EVENT, b"*", json.dumps(e).encode())) for e in tracer.events])
    (summary,) = store.sessions(SessionQuery()).sessions
    assert (summary.models, summary.tokens, summary.unpriced) == (1, 19, 0)
    assert summary.cost == pytest.approx(19e-6)
    store.close()


def test_the_terminal_shows_costs_and_what_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list, a tree, and the same numbers in JSON."""
    monkeypatch.setenv("COLUMNS", "120")  # in 80 a whole id leaves no room for the cost
    db = tmp_path / "store.db"
    tracer = st.Tracer(st.Local(path=db), spool=False, prices=PRICES)
    with tracer.session("both"):
        call(tracer, "m-1", **COUNTS)
        call(tracer, "m-2", **COUNTS)
    with tracer.session("neither"):
        call(tracer, "m-2", **COUNTS)
    assert tracer.flush(20).complete
    tracer.shutdown(5)

    def output(*words: str) -> str:
        assert main(["sessions", *words, "--db", str(db)]) == 0
        return capsys.readouterr().out

    table = output("list")
    rows = {line.split()[1]: line for line in table.splitlines() if "tests" not in line}
    assert "$0.02 + 1 unpriced" in rows["both"]
    assert " unpriced " in rows["neither"]
    assert "$" not in rows["neither"]
    tree = output("show", "last")
    assert "51,200 tokens · unpriced" in tree
    listed = output("list", "--json")
    assert [(one["unpriced"], one["cost"] > 0) for one in json.loads(listed)] == [
        (1, False),
        (1, True),
    ]
