"""The one place that decides what a call cost: own prices here, and what is left alone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from support.records import event, record

from sessiontrace.capture.encoding.record_body import encode_event
from sessiontrace.model.ids import new_id
from sessiontrace.model.record import END, EVENT, UPDATE, Record, decode_keeping_payloads
from sessiontrace.pricing.pricer import Pricer
from sessiontrace.pricing.prices import Prices, parse_prices

SID = new_id()
OWN = {
    "mine": {
        "input": 2.0, "output": 10.0, "cache_read": 0.2, "cache_write": 2.5, "cache_write_1h": 4.0,
        "web_search": 0.01, "request": 0.5,
    },
    "plain": {"input": 1.0, "output": 3.0},
    "openai/shared": {"input": 5.0},
    "shared": {"input": 7.0},
    "ft:base-*": {"input": 1.0},
    "ft:*": {"input": 9.0},
    "by-call": {"request": 0.04},
    "free": {"input": 0, "output": 0},
}  # fmt: skip


def call(model: str | None = None, **fields: Any) -> Record:
    config = {"model": model, **fields.pop("config", {})}
    metadata = {"prompt_tokens": 1_000_000, **fields.pop("metadata", {})}
    return event(SID, event_type="model", config=config, metadata=metadata, **fields)


def priced(record: Record, own: Any = OWN) -> dict[str, Any]:
    body = Pricer(parse_prices(own, "prices")).record(record).body
    metadata: dict[str, Any] = orjson.loads(body).get("metadata", {})
    return metadata


@pytest.mark.parametrize(
    ("model", "counts", "cost"),
    [
        ("plain", {"completion_tokens": 1_000_000}, 4.0),
        ("plain", {"cache_read_tokens": 500_000, "cache_write_tokens": 500_000}, 1.0),
        ("mine", {"completion_tokens": 100_000}, 2.0 + 1.0 + 0.5),
        ("mine", {"cache_read_tokens": 500_000}, 1.0 + 0.1 + 0.5),
        ("mine", {"cache_write_tokens": 500_000}, 1.0 + 1.25 + 0.5),
        (
            "mine",
            {"cache_write_tokens": 500_000, "cache_write_1h_tokens": 250_000},
            1.0 + 0.625 + 1.0 + 0.5,
        ),
        ("mine", {"web_search_requests": 3}, 2.0 + 0.03 + 0.5),
        ("by-call", {"completion_tokens": 9}, 0.04),
        ("free", {"completion_tokens": 9}, 0.0),
    ],
)
def test_own_prices_are_for_each_kind_of_token(
    model: str, counts: dict[str, int], cost: float
) -> None:
    """A million prompt tokens, of which some come from the cache or are written to it."""
    metadata = priced(call(model, metadata=counts))
    assert metadata["cost"] == pytest.approx(cost)
    assert metadata["cost_source"] == "custom"
    assert metadata.items() >= counts.items()


@pytest.mark.parametrize(
    ("config", "metadata", "cost"),
    [
        ({"model": "PLAIN"}, {}, 1.0),
        ({"model": "shared", "provider": "openai"}, {}, 7.0),
        ({"model": "ft:base-7:org"}, {}, 1.0),
        ({"model": "ft:other"}, {}, 9.0),
        ({"model": "my-deployment"}, {"response_model": "plain"}, 1.0),
        ({"model": "plain"}, {"response_model": "shared"}, 1.0),
    ],
)
def test_a_model_is_found_by_what_was_asked_for_or_what_answered(
    config: dict[str, str], metadata: dict[str, str], cost: float
) -> None:
    """Exact names before patterns, longer patterns before shorter ones."""
    assert priced(call(config=config, metadata=metadata))["cost"] == cost


def test_a_provider_may_stand_before_the_name() -> None:
    """One model, two providers, two prices."""
    own = {"openai/m": {"input": 5.0}, "azure/m": {"input": 6.0}}
    for provider, cost in (("openai", 5.0), ("azure", 6.0)):
        assert priced(call("m", config={"provider": provider}), own)["cost"] == cost
    assert "cost" not in priced(call("m", config={"provider": "other"}), own)


@pytest.mark.parametrize(
    "reported",
    [
        {"cost": 0},
        {"cost": 0.1},
        {"total_cost": 0.1},
        {"prompt_cost": 0.1},
        {"completion_cost": 0.1},
        {"output_cost": 0.1},
        {"cost": "0.01 EUR"},
        {"cost": {"usd": 1}},
    ],
)
@pytest.mark.parametrize("place", ["metadata", "metrics"])
def test_a_reported_cost_is_never_overwritten(reported: dict[str, Any], place: str) -> None:
    """The provider or the program knows better, also in a form that we cannot read."""
    original = event(
        SID,
        event_type="model",
        config={"model": "plain"},
        **{place: {"prompt_tokens": 5, **reported}},
    )
    assert Pricer(parse_prices(OWN, "prices")).record(original) is original


@pytest.mark.parametrize(
    "original",
    [
        call("unknown"),
        call("openai/shared", metadata={"completion_tokens": 1}),  # no price for its output
        call(None),
        call("plain", metadata={"prompt_tokens": 0}),
        call("plain", metadata={"cached": True}),
        call("plain", metadata={"prompt_tokens": None, "total_tokens": 8}),
        event(SID, event_type="tool", config={"model": "plain"}, metadata={"prompt_tokens": 5}),
        event(SID, event_type="chain", config={"model": "plain"}, metadata={"prompt_tokens": 5}),
        event(SID, event_type="model", config="plain", metadata="many"),
        record(UPDATE, event_id=SID, session_id=SID, event_type="model", config={"model": "plain"},
               metadata={"prompt_tokens": 5}),
        record(END, event_id=SID, session_id=SID, event_type="session",
               metadata={"prompt_tokens": 5}),
        Record(EVENT, b"*", b'{"event_type":"model" not JSON'),
    ],
)  # fmt: skip
def test_what_has_no_certain_price_stays_as_it_is(original: Record) -> None:
    """An unknown model, an answer from a cache, a total without its parts, and all but calls: a
    chain's own totals would count its calls twice.
    """
    assert Pricer(parse_prices(OWN, "prices")).record(original) is original


def test_prices_false_computes_nothing() -> None:
    """A program that computes costs elsewhere gets none from here."""
    original = call("plain")
    assert Pricer(Prices(enabled=False)).record(original) is original


def test_of_a_call_without_output_the_total_is_its_input() -> None:
    """Some providers of embeddings report a total only."""
    counts = {"prompt_tokens": None, "total_tokens": 1_000_000}
    metadata = priced(call("plain", config={"type": "embedding"}, metadata=counts))
    assert metadata["cost"] == 1.0


def test_a_priced_record_is_the_same_record_but_for_its_metadata() -> None:
    """The payloads travel encoded between their tabs; a second look changes nothing."""
    original = Record(
        EVENT,
        b"local",
        encode_event(
            new_id(), SID, SID, "model", "tests", 10**18, 10**18 + 1, "chat",
            {"config": {"model": "plain"}, "metadata": {"prompt_tokens": 5, "note": "ü"}}, None,
            b'{"chat_history":[{"role":"user","content":"1e400"}]}', b'{"role":"assistant"}',
        ),
    )  # fmt: skip
    pricer = Pricer(parse_prices(OWN, "prices"))
    once = pricer.record(original)
    assert once.route == original.route
    assert once.body[:105] == original.body[:105]
    assert once.body.count(b"\t") == original.body.count(b"\t") == 4
    before, after = (decode_keeping_payloads(one.body) for one in (original, once))
    added = after["metadata"].keys() - before["metadata"].keys()
    assert added == {"cost", "prompt_cost", "completion_cost", "cost_source"}
    assert {**after, "metadata": {}} == {**before, "metadata": {}}
    assert pricer.record(once) is once


def test_a_cost_that_is_reported_later_replaces_the_computed_one_and_says_so() -> None:
    """A bill that comes after the call: the stamp of the computed cost must not stay on it."""
    pricer = Pricer(parse_prices(OWN, "prices"))
    late = record(UPDATE, event_id=SID, session_id=SID, metadata={"cost": 0.5})
    changed = pricer.record(late)
    metadata = orjson.loads(changed.body)["metadata"]
    assert metadata == {"cost": 0.5, "cost_source": "reported", "cost_version": None}
    assert pricer.record(changed) is changed
    for other in ({"metadata": {"note": "cost"}}, {"metrics": {"cost_score": 1}}, {"metadata": 5}):
        unchanged = record(UPDATE, event_id=SID, session_id=SID, **other)
        assert pricer.record(unchanged) is unchanged


def test_a_record_without_counts_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most records of model calls in a benchmark, and of programs that count nothing."""
    monkeypatch.setattr("sessiontrace.pricing.pricer.decode_keeping_payloads", pytest.fail)
    bare = event(SID, event_type="model", config={"model": "plain"})
    assert Pricer(parse_prices(OWN, "prices")).record(bare) is bare


def test_a_look_at_its_bytes_decides_which_record_may_have_a_cost() -> None:
    """Counts in the record's own fields, wherever they are; those in a payload do not matter."""
    own = b'{"event_id":"%b","session_id":"%b","event_type":"model"' % (SID.encode(), SID.encode())
    bodies = [
        own + b',"metadata":{"prompt_tokens":1},"inputs":\t{"q":"a"}\t}',
        own + b',"inputs":\t{"prompt_tokens":1}\t,"outputs":\t{"total_tokens":2}\t}',
        own + b',"inputs":\t{"q":"a"}\t,"metadata":{"prompt_tokens":1}}',
        own + b',"metadata":{"prompt_tokens":1}}',
        own.replace(b"model", b"tool") + b',"metadata":{"prompt_tokens":1},"inputs":\t{"q":"a"}\t}',
        own + b"}",
    ]
    pricer = Pricer(parse_prices(OWN, "prices"))
    candidates = pricer.candidates([EVENT] * len(bodies), bodies, 0, len(bodies))
    assert list(candidates) == [0, 2, 3]
    assert list(pricer.candidates([END, UPDATE], [bodies[0], b'{"cost":1}'], 0, 2)) == [1]
    assert list(Pricer(Prices(enabled=False)).candidates([EVENT], bodies, 0, 1)) == []


def test_without_any_prices_no_event_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither own prices nor the package; only a cost that is reported late is still marked so."""
    monkeypatch.setattr("sessiontrace.pricing.pricer.has_table", lambda: False)
    body = call("some-model").body
    late = b'{"metadata":{"cost":1}}'
    assert list(Pricer(Prices()).candidates([EVENT, UPDATE], [body, late], 0, 2)) == [1]
    assert list(Pricer(parse_prices(OWN, "prices")).candidates([EVENT], [body], 0, 1)) == [0]
