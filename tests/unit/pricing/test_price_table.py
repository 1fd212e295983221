"""The prices of ``genai-prices``: which model is meant, and what is left unpriced."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from support.records import T0, event
from support.subprocesses import environment, run

from sessiontrace.model.ids import new_id
from sessiontrace.pricing.pricer import Pricer
from sessiontrace.pricing.prices import Prices

genai_prices = pytest.importorskip(
    "genai_prices", reason="genai-prices needs Python 3.11", exc_type=ImportError
)

SID = new_id()
CLAUDE = {"model": "claude-sonnet-4-5", "provider": "anthropic"}


def cost_of(config: dict[str, Any], *, at: int = T0, **metadata: Any) -> dict[str, Any]:
    counts = {"prompt_tokens": 1000, "completion_tokens": 100, **metadata}
    original = event(SID, at, event_type="model", config=config, metadata=counts)
    body: dict[str, Any] = json.loads(Pricer(Prices()).record(original).body)
    return dict(body["metadata"])


def expected(provider: str, model: str, **counts: int) -> float:
    usage = genai_prices.Usage(**{"input_tokens": 1000, "output_tokens": 100, **counts})
    at = datetime.fromtimestamp(T0 / 1000, timezone.utc)
    price = genai_prices.calc_price(usage, model, provider_id=provider, genai_request_timestamp=at)
    return float(price.total_price)


def test_a_call_gets_its_cost_and_where_the_price_comes_from() -> None:
    """1000 tokens in at 3 dollars a million, 100 out at 15."""
    metadata = cost_of(CLAUDE)
    assert metadata["cost"] == pytest.approx(0.0045)
    assert metadata["prompt_cost"] == pytest.approx(0.003)
    assert metadata["completion_cost"] == pytest.approx(0.0015)
    assert metadata["cost_source"] == "genai-prices"
    assert metadata["cost_version"] == genai_prices.__version__


def test_the_cache_costs_what_the_provider_charges_for_it() -> None:
    """50 000 of 51 000 tokens were read from the cache: a tenth of their price. A write for an
    hour costs more than one for five minutes, and a search costs a cent.
    """
    counts = {"prompt_tokens": 51_000, "completion_tokens": 200, "cache_read_tokens": 50_000}
    assert cost_of(CLAUDE, **counts)["cost"] == pytest.approx(0.021)
    written = {"cache_write_tokens": 1000}
    short = cost_of(CLAUDE, **written)["cost"]
    long = cost_of(CLAUDE, **written, cache_write_1h_tokens=1000)["cost"]
    assert (short, long) == (pytest.approx(0.00525), pytest.approx(0.0075))
    assert cost_of(CLAUDE, web_search_requests=2)["cost"] == pytest.approx(0.0245)


@pytest.mark.parametrize(
    ("config", "response_model", "provider", "model"),
    [
        ({"model": "gpt-4o", "provider": "openai"}, "gpt-4o-2024-08-06", "openai", "gpt-4o"),
        ({"model": "gpt-4o"}, None, "openai", "gpt-4o"),
        ({"model": "openai/gpt-4o", "provider": "openai"}, None, "openai", "gpt-4o"),
        ({"model": "anthropic/claude-sonnet-4-5"}, None, "anthropic", "claude-sonnet-4-5"),
        (
            {"model": "my-deployment", "provider": "azure.ai.openai"},
            "gpt-4o-2024-08-06",
            "azure",
            "gpt-4o",
        ),
        (
            {"model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "provider": "aws.bedrock"},
            None,
            "aws",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            {
                "model": "arn:aws:bedrock:us-east-1:1:inference-profile/"
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "provider": "amazon_bedrock",
            },
            None,
            "aws",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            {"model": "openrouter/anthropic/claude-sonnet-4.5", "provider": "openrouter"},
            None,
            "openrouter",
            "anthropic/claude-sonnet-4.5",
        ),
        ({"model": "models/gemini-2.5-pro", "provider": "gcp.gemini"}, None, "google",
         "gemini-2.5-pro"),
        ({"model": "claude-sonnet-4-5@20250929", "provider": "gcp.vertex_ai"}, None, "google",
         "claude-sonnet-4-5@20250929"),
        ({"model": "grok-4", "provider": "x_ai"}, None, "x-ai", "grok-4"),
        ({"model": "mistral-large-latest", "provider": "mistral_ai"}, None, "mistral",
         "mistral-large-latest"),
        ({"model": "ft:gpt-4o-mini-2024-07-18:org::id", "provider": "openai"}, None, "openai",
         "ft:gpt-4o-mini-2024-07-18:org::id"),
    ],
)  # fmt: skip
def test_a_model_is_known_by_all_its_names(
    config: dict[str, str], response_model: str | None, provider: str, model: str
) -> None:
    """Deployments, regions, gateways, fine-tuned models, and the answer's own name."""
    metadata = cost_of(config, response_model=response_model)
    assert metadata["cost"] == pytest.approx(expected(provider, model))


@pytest.mark.parametrize(
    "config",
    [
        {"model": "gpt-77", "provider": "openai"},
        {"model": "my-deployment", "provider": "azure"},
        {"model": "gpt-oss:20b", "provider": "ollama"},
        {"model": "gpt-4o", "provider": "my-gateway"},
        {"model": "ft:gpt-4.1-mini-2025-04-14:org::id", "provider": "openai"},
        {"model": "whisper-1", "provider": "openai"},
        {"provider": "openai"},
        {"model": ["gpt-4o"], "provider": {"name": "openai"}},
    ],
)
def test_D22_a_guess_is_no_price(config: dict[str, Any]) -> None:
    """A local model of a known name costs nothing to anyone else; a model of sound has no price for
    tokens. All of them are unpriced, which is not 0.
    """
    assert "cost" not in cost_of(config)


def test_D22_counts_that_contradict_each_other_have_no_price() -> None:
    """Sound costs more than text; more sound than prompt is an error of the record."""
    config = {"model": "gpt-audio", "provider": "openai"}
    assert cost_of(config, prompt_audio_tokens=600)["cost"] > 5 * cost_of(config)["cost"]
    assert "cost" not in cost_of(config, prompt_audio_tokens=5000)


def test_the_service_tier_of_the_call_has_its_own_price() -> None:
    """A flexible request costs half; one that names no tier has the usual price."""
    config = {"model": "gpt-5", "provider": "openai"}
    at = 1_794_000_000_000  # November 2026: the table has tiers since October
    usual = cost_of(config, at=at)["cost"]
    flex = {**config, "hyperparameters": {"service_tier": "flex"}}
    auto = {**config, "hyperparameters": {"service_tier": "auto"}}
    assert cost_of(flex, at=at)["cost"] == pytest.approx(usual / 2)
    assert cost_of(auto, at=at)["cost"] == usual
    assert cost_of(flex, at=at, service_tier="default")["cost"] == usual
    opus = {"model": "claude-opus-5", "provider": "anthropic"}
    assert cost_of(opus, at=at, service_tier="fast")["cost"] > cost_of(opus, at=at)["cost"]
    assert cost_of({**config, "batch": True}, at=at)["cost"] == pytest.approx(usual / 2)
    no_tiers = {"model": "mistral-large-latest", "provider": "mistral", "batch": True}
    assert "cost" not in cost_of(no_tiers, at=at), "half as much, or not: the table does not say"


def test_prices_are_those_of_the_day_of_the_call() -> None:
    """o3 cost five times as much until June 2025; a record of then may be delivered today."""
    config = {"model": "o3", "provider": "openai"}
    may_2025 = 1_746_100_000_000
    assert cost_of(config, at=may_2025)["cost"] == pytest.approx(5 * cost_of(config)["cost"])


PROBE = """
import socket, sys, threading
def refused(*_, **__):
    raise AssertionError("the network")
socket.socket.connect = socket.getaddrinfo = refused
import sessiontrace
from sessiontrace.pricing.pricer import Pricer
from sessiontrace.pricing.prices import Prices
from sessiontrace.model.record import Record
assert "genai_prices" not in sys.modules
pricer = Pricer(Prices())
def call(metadata):
    import orjson
    return Record(b"event", b"*", orjson.dumps({"event_id": "a" * 36, "session_id": "b" * 36,
        "event_type": "model", "config": {"model": "gpt-4o"}, "metadata": metadata}))
pricer.record(call({"cost": 1, "prompt_tokens": 4}))
assert "genai_prices" not in sys.modules
assert b'"cost":' in pricer.record(call({"prompt_tokens": 4})).body
assert threading.active_count() == 1, threading.enumerate()
print("fine")
"""


def test_the_package_is_loaded_at_its_first_use_and_never_goes_online(tmp_path: Path) -> None:
    """Its updater is a thread that fetches prices; a traced program must not start it. A program
    whose calls all report their cost does not pay for the import.
    """
    assert run(PROBE, tmp_path).stdout.strip() == "fine"


BROKEN = """
from sessiontrace.pricing.price_table import PricedCall, table_cost, table_version
from sessiontrace.model.call_usage import CallUsage
assert table_cost(PricedCall("openai", ("gpt-4o",), CallUsage(prompt=5), 0)) is None
assert table_version() is None
"""


@pytest.mark.parametrize("fault", ["", "raise RuntimeError('half an upgrade')"])
def test_D22_a_package_that_cannot_be_loaded_leaves_calls_unpriced(
    tmp_path: Path, fault: str
) -> None:
    """Another package of that name, or a broken one: costs are missing, and a log line says so."""
    package = tmp_path / "genai_prices.py"
    package.write_text(fault)
    path = f"{tmp_path}{os.pathsep}{environment(tmp_path)['PYTHONPATH']}"
    done = run(BROKEN, tmp_path, PYTHONPATH=path)
    assert done.stderr.count("pip install -U 'sessiontrace[prices]'") == 1, done.stderr
