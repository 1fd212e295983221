"""A provider's own usage, in each vendor's own fields: one table, from the reply to the request.

Each row is what the provider's API returns for about the same call: 1000 tokens of prompt, of which
600 were read from its cache, and 100 of answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
import pytest
from support.exporters import FLOWS, HONEYHIVE, HUMANLOOP, OTLP, POSTHOG, Story, deliver
from support.exporters import record as framed

from sessiontrace.instrumentation.cloud_formats.converse import converse_answer
from sessiontrace.instrumentation.cloud_formats.gemini import GeminiAssembler
from sessiontrace.instrumentation.core.token_counts import reported_usage
from sessiontrace.instrumentation.openai_family.anthropic_messages import message_answer
from sessiontrace.instrumentation.openai_family.chat_format import ChatAssembler, chat_answer
from sessiontrace.instrumentation.openai_family.chat_usage import usage_of
from sessiontrace.instrumentation.openai_family.responses_format import (
    response_answer,
    usage_of_response,
)
from sessiontrace.model.record import END, EVENT, START
from sessiontrace.pricing.pricer import Pricer
from sessiontrace.pricing.prices import parse_prices

pytestmark = pytest.mark.contract

PRICES = {
    "m": {
        "input": 2.0,
        "output": 10.0,
        "cache_read": 0.2,
        "cache_write": 2.5,
        "cache_write_1h": 4.0,
    }
}


def gemini(usage: dict[str, Any]) -> dict[str, Any]:
    assembler = GeminiAssembler()
    assembler.add({"usageMetadata": usage})
    return assembler.answer().metadata


class Row(NamedTuple):
    """One provider: how its usage is read, the usage, and what must become of it."""

    read: Callable[[Any], dict[str, Any]]
    usage: dict[str, Any]
    counts: dict[str, Any]  # of the record
    cost: float
    posthog: dict[str, Any]  # besides the input, output and total


DETAILS = {"cached_tokens": 600}
CACHED = {"cache_read_tokens": 600}
PLAIN_COST = (400 * 2.0 + 600 * 0.2 + 100 * 10.0) / 1e6
READ = {"$ai_cache_read_input_tokens": 600}

ROWS = {
    "openai chat": Row(
        usage_of,
        {
            "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
            "prompt_tokens_details": DETAILS, "completion_tokens_details": {"reasoning_tokens": 40},
        },
        {**CACHED, "reasoning_tokens": 40},
        PLAIN_COST,
        {**READ, "$ai_reasoning_tokens": 40},
    ),
    "openai responses": Row(
        usage_of_response,
        {
            "input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100,
            "input_tokens_details": DETAILS, "output_tokens_details": {"reasoning_tokens": 40},
        },
        {**CACHED, "reasoning_tokens": 40},
        PLAIN_COST,
        {**READ, "$ai_reasoning_tokens": 40},
    ),
    "openai images": Row(
        usage_of_response,
        {
            "input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100,
            "input_tokens_details": {"image_tokens": 30, "text_tokens": 970, "cached_tokens": 600},
            "output_tokens_details": {"image_tokens": 100, "text_tokens": 0},
        },
        {**CACHED, "prompt_image_tokens": 30, "completion_image_tokens": 100},
        PLAIN_COST,
        {**READ, "$ai_image_input_tokens": 30, "$ai_image_output_tokens": 100},
    ),
    "openrouter": Row(
        usage_of,
        {
            "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cost": 0.25,
            "prompt_tokens_details": DETAILS,
        },
        {**CACHED, "cost": 0.25},
        0.25,
        READ,
    ),
    "deepseek": Row(
        usage_of,
        {
            "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
            "prompt_cache_hit_tokens": 600, "prompt_cache_miss_tokens": 400,
        },
        CACHED,
        PLAIN_COST,
        READ,
    ),
    "anthropic": Row(
        lambda usage: message_answer({"role": "assistant", "content": [], "usage": usage}).metadata,
        {
            "input_tokens": 100, "output_tokens": 100, "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "server_tool_use": {"web_search_requests": 3},
        },
        {
            **CACHED, "cache_write_tokens": 300, "cache_write_5m_tokens": 100,
            "cache_write_1h_tokens": 200, "web_search_requests": 3,
        },
        (100 * 2.0 + 600 * 0.2 + 100 * 2.5 + 200 * 4.0 + 100 * 10.0) / 1e6,
        {
            **READ, "$ai_cache_creation_input_tokens": 300,
            "$ai_cache_creation_5m_input_tokens": 100, "$ai_cache_creation_1h_input_tokens": 200,
            "$ai_web_search_count": 3,
        },
    ),
    "bedrock converse": Row(
        lambda usage: converse_answer(
            {"output": {"message": {"role": "assistant", "content": []}}, "usage": usage}
        ).metadata,
        {
            "inputTokens": 100, "outputTokens": 100, "totalTokens": 1100,
            "cacheReadInputTokens": 600, "cacheWriteInputTokens": 300,
        },
        {**CACHED, "cache_write_tokens": 300},
        (100 * 2.0 + 600 * 0.2 + 300 * 2.5 + 100 * 10.0) / 1e6,
        {**READ, "$ai_cache_creation_input_tokens": 300},
    ),
    "gemini": Row(
        gemini,
        {
            "promptTokenCount": 1000, "candidatesTokenCount": 60, "thoughtsTokenCount": 40,
            "cachedContentTokenCount": 600, "totalTokenCount": 1100,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 700}, {"modality": "AUDIO", "tokenCount": 200},
                {"modality": "IMAGE", "tokenCount": 100},
            ],
        },
        {
            **CACHED, "reasoning_tokens": 40,
            "prompt_audio_tokens": 200, "prompt_image_tokens": 100,
        },
        PLAIN_COST,
        {
            **READ, "$ai_reasoning_tokens": 40,
            "$ai_audio_input_tokens": 200, "$ai_image_input_tokens": 100,
        },
    ),
    "anthropic, through a framework": Row(
        reported_usage,
        {"input_tokens": 400, "output_tokens": 100, "cache_read_input_tokens": 600},
        CACHED,
        PLAIN_COST,
        READ,
    ),
    "a program that copies exclusive counts": Row(
        dict,
        {"prompt_tokens": 400, "completion_tokens": 100, "cache_read_tokens": 600},
        {"prompt_tokens": 400, "completion_tokens": 100, **CACHED},
        PLAIN_COST,
        {**READ, "$ai_input_tokens": 400, "$ai_cache_reporting_exclusive": True},
    ),
}  # fmt: skip

rows = pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))


def metadata_of(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.read(row.usage).items() if value is not None}


def requests_of(vendor: Any, row: Row) -> list[Any]:
    """The bodies that a vendor gets for a session with this one call."""
    story = Story()
    start = story.start()
    config = {"model": "m", "provider": "anthropic"}
    call = story.model(start, config=config, metadata=metadata_of(row))
    records = [framed(START, start), framed(EVENT, call), framed(END, story.end(start))]
    pricer = Pricer(parse_prices(PRICES, "prices"))
    delivery = deliver(vendor, [pricer.record(record) for record in records])
    assert not delivery.rejected
    return [orjson.loads(request.body) for request in delivery.requests if request.body]


@rows
def test_the_record_counts_by_one_definition(row: Row) -> None:
    """The prompt with what was read from and written to the cache, the answer with reasoning."""
    metadata = metadata_of(row)
    whole = {"prompt_tokens": 1000, "completion_tokens": 100}
    assert metadata.items() >= {**whole, **row.counts}.items()


@rows
def test_posthog_gets_counts_and_how_they_were_counted(row: Row) -> None:
    """Else it would take the counts of a Claude model as exclusive, and compute another cost."""
    events = [event for body in requests_of(POSTHOG, row) for event in body["batch"]]
    (properties,) = (event["properties"] for event in events if event["event"] == "$ai_generation")
    expected = {
        "$ai_input_tokens": 1000,
        "$ai_output_tokens": 100,
        "$ai_cache_reporting_exclusive": False,
        **row.posthog,
    }
    assert properties.items() >= expected.items()
    assert properties["$ai_total_cost_usd"] == pytest.approx(row.cost)
    assert properties["$ai_usage"]["cache_read_tokens"] == 600
    posthogs_own = {name for name in properties if name.endswith("_tokens")}
    assert posthogs_own - expected.keys() <= {"$ai_total_tokens"}, "nothing that nobody reported"


@rows
def test_honeyhive_gets_counts_and_cost_in_the_metadata(row: Row) -> None:
    """Under the names that its own aggregation reads: prompt_tokens, completion_tokens, cost."""
    bodies = requests_of(HONEYHIVE, row)
    events = [event for body in bodies for event in body.get("events", ())]
    (metadata,) = (event["metadata"] for event in events if event["event_type"] == "model")
    assert metadata.items() >= metadata_of(row).items()
    assert metadata["cost"] == pytest.approx(row.cost)


@pytest.mark.parametrize("vendor", [HUMANLOOP, FLOWS], ids=["v4", "v5"])
@rows
def test_humanloop_gets_its_two_counts_and_two_costs(vendor: Any, row: Row) -> None:
    """A log has four numbers; a cost that was reported whole has no parts."""
    bodies = requests_of(vendor, row)
    logs = [log for body in bodies for log in (body if isinstance(body, list) else [body])]
    (log,) = (log for log in logs if "output_tokens" in log)
    prompt = 400 if row.read is dict else 1000
    assert (log["prompt_tokens"], log["output_tokens"]) == (prompt, 100)
    if "cost" in row.counts:
        assert "prompt_cost" not in log
    else:
        assert log["prompt_cost"] + log["output_cost"] == pytest.approx(row.cost)


@rows
def test_otlp_has_the_conventions_names(row: Row) -> None:
    """``gen_ai.usage.input_tokens`` includes the cache, as OpenTelemetry's conventions say."""
    spans = [
        span
        for body in requests_of(OTLP, row)
        for resource in body["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    (attributes,) = (
        found for span in spans if "gen_ai.usage.input_tokens" in (found := attributes_of(span))
    )
    expected = {"gen_ai.usage.output_tokens": 100, "gen_ai.usage.cache_read.input_tokens": 600}
    if "cache_write_tokens" in row.counts:
        expected["gen_ai.usage.cache_write.input_tokens"] = row.counts["cache_write_tokens"]
    if row.read is not dict:
        expected["gen_ai.usage.input_tokens"] = 1000
    assert attributes.items() >= expected.items()
    assert attributes["gen_ai.usage.cost"] == pytest.approx(row.cost)


def attributes_of(span: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for attribute in span["attributes"]:
        ((kind, value),) = attribute["value"].items()
        values[attribute["key"]] = int(value) if kind == "intValue" else value
    return values


def test_the_tier_that_answered_is_recorded_streamed_and_whole() -> None:
    """A flexible request may be answered, and billed, by the usual tier."""
    message = {"role": "assistant", "content": "!"}
    reply = {"model": "m", "service_tier": "default", "choices": [{"index": 0, "message": message}]}
    assembler = ChatAssembler()
    for delta in (message, {}):
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
        assembler.add({"model": "m", "service_tier": "default", "choices": [choice]})
    whole = {"status": "completed", "output": [], "service_tier": "default"}
    for answer in (chat_answer(reply), assembler.answer(), response_answer(whole)):
        assert answer.metadata["service_tier"] == "default"
