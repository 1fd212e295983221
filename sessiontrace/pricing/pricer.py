"""The cost of model calls in records: the one place that decides it.

Used in the sender's thread and the server's writer, never in the thread of a call. Invariant: a
record that has a cost, or has no tokens, stays as it is; whatever fails leaves the record without a
cost, and nothing raises.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import orjson

from sessiontrace.model import payload
from sessiontrace.model.call_usage import CallUsage, call_usage, has_cost, is_cached
from sessiontrace.model.fields import PAYLOADS
from sessiontrace.model.record import EVENT, UPDATE, Record, decode_keeping_payloads
from sessiontrace.model.step_types import CALL_TYPES
from sessiontrace.pricing.price_table import (
    BATCH,
    Cost,
    PricedCall,
    has_model,
    table_cost,
    table_version,
)
from sessiontrace.pricing.prices import ModelPrices, Prices, has_table

__all__ = ["CUSTOM", "REPORTED", "TABLE", "Pricer"]

TABLE = "genai-prices"
CUSTOM = "custom"
REPORTED = "reported"

_CALL_TYPES = tuple(f'"{name}"'.encode() for name in sorted(CALL_TYPES, reverse=True))
_TOKENS = b'_tokens"'  # every count that a cost needs has a name that ends so
_MILLION = 1_000_000
_PATTERN = frozenset("*?[")
_IDS = len('{"event_id":"","session_id":""') + 2 * 36  # bytes with which every record opens
_HEAD = 1024  # bytes of a record within which its type is written
_INPUT_ONLY = frozenset({"embedding", "embeddings", "rerank"})


class Pricer:
    """Adds the cost to records of model calls that report none.

    The metadata gets ``cost``, ``prompt_cost`` and ``completion_cost`` in US dollars,
    ``cost_source`` ("custom" or "genai-prices") and, of the package, ``cost_version``. A cost that
    is reported later has the source "reported".
    """

    def __init__(self, prices: Prices) -> None:
        self._enabled = prices.enabled
        self._own = dict(prices.own)
        self._patterns = [(name, own) for name, own in prices.own if not _PATTERN.isdisjoint(name)]

    @functools.cached_property
    def _knows_prices(self) -> bool:
        return bool(self._own) or has_table()

    def candidates(
        self, kinds: Sequence[bytes], bodies: Sequence[bytes], start: int, stop: int
    ) -> Iterator[int]:
        """Which of these records may have a cost to add, without decoding them."""
        if not self._enabled:
            return
        if self._knows_prices or UPDATE in kinds[start:stop]:
            for index in range(start, stop):
                kind = kinds[index]
                if kind == EVENT:
                    body = bodies[index]
                    if self._knows_prices and _may_have_tokens(body) and _may_be_call(body):
                        yield index
                elif kind == UPDATE and bodies[index].find(b"cost") >= 0:
                    yield index

    def record(self, record: Record) -> Record:
        """The record with its cost; the same object where there is none to add."""
        kind, route, body = record
        if not any(True for _ in self.candidates((kind,), (body,), 0, 1)):
            return record
        if kind == UPDATE:
            return self._update(record)
        try:
            event = decode_keeping_payloads(body)
            metadata = self.metadata(event)
            if metadata is None:
                return record
            payloads = {name: event.pop(name) for name in PAYLOADS if name in event}
            event["metadata"] = metadata
            for name, encoded in payloads.items():  # the last fields, as capture writes them
                event[name] = orjson.Fragment(_marked(encoded))
            return Record(kind, route, payload.compact_json(event))
        except Exception:  # a body of another program's making
            return record

    def metadata(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The metadata of a decoded model call with its cost; None where there is none to add."""
        kind = event.get("event_type")
        if not self._enabled or type(kind) is not str or kind not in CALL_TYPES:
            return None
        config, metadata = event.get("config"), event.get("metadata")
        config = config if isinstance(config, dict) else {}
        metadata = metadata if isinstance(metadata, dict) else {}
        stated = config.get("provider"), config.get("model"), metadata.get("response_model")
        if not self._may_be_priced(*stated) or has_cost(event) or is_cached(event):
            return None
        provider, names = _name(config.get("provider")), _names(config, metadata)
        own = self._find(_own_names(provider, config, metadata)) if self._own else None
        if own is None and not has_model(provider, names):
            return None
        usage = _usage(event)
        if usage is None:
            return None
        stamp: dict[str, Any] = {"cost_source": CUSTOM}
        if own is not None:
            cost = _own_cost(own, usage)
        else:
            tier, start = _tier(config, metadata), payload.milliseconds(event, "start_time") or 0
            cost = table_cost(PricedCall(provider, names, usage, start // 1000, tier))
            stamp = {"cost_source": TABLE, "cost_version": table_version()}
        if cost is None:
            return None
        amounts = {"cost": cost.total, "prompt_cost": cost.prompt}
        return {**metadata, **amounts, "completion_cost": cost.completion, **stamp}

    def _may_be_priced(self, provider: Any, model: Any, response: Any) -> bool:
        """Whether there may be a price for what a call says of its model.

        Most calls name what an earlier one named: a look at the texts as they are is enough.
        """
        if self._own or not (
            type(provider) is type(model) is str and (response is None or type(response) is str)
        ):
            return True
        return _has_model(provider, model, response)

    def _update(self, record: Record) -> Record:
        """A late change that reports a cost: it replaces a computed one, and says so."""
        kind, route, body = record
        try:
            event = orjson.loads(body)
            metadata = payload.bucket(event, "metadata")
            if "cost_source" in metadata or not has_cost({"metadata": metadata}):
                return record
            event["metadata"] = {**metadata, "cost_source": REPORTED, "cost_version": None}
            return Record(kind, route, payload.compact_json(event))
        except Exception:  # a body of another program's making
            return record

    def _find(self, names: tuple[str, ...]) -> ModelPrices | None:
        """The program's own prices for a model with one of these names."""
        for name in names:
            if name in self._own:
                return self._own[name]
        for pattern, prices in self._patterns:
            if any(fnmatchcase(name, pattern) for name in names):
                return prices
        return None


def _marked(encoded: bytes) -> bytes:
    """A payload as records have it: objects are between two tabs."""
    return b"\t%b\t" % encoded if encoded.startswith(b"{") else encoded


def _may_have_tokens(body: bytes) -> bool:
    """Whether a record's own fields, which are before its payloads, count tokens.

    Payloads lie between tabs. In records of another program's making fields may be behind them.
    """
    payload = body.find(b"\t")
    if payload < 0:
        return body.find(_TOKENS, _IDS) >= 0
    if body.find(_TOKENS, _IDS, payload) >= 0:
        return True
    return not body.endswith(b"\t}") and body.find(_TOKENS, body.rfind(b"\t")) >= 0


def _may_be_call(body: bytes) -> bool:
    return any(body.find(name, _IDS, _HEAD) >= 0 for name in _CALL_TYPES)


def _usage(event: dict[str, Any]) -> CallUsage | None:
    """The counts that can be priced; None without tokens and searches.

    Of a total alone, input and output are unknown, except for calls that have no output.
    """
    usage = call_usage(event)
    if usage.prompt or usage.completion:
        return usage
    kind = payload.bucket(event, "config").get("type")
    if usage.total and isinstance(kind, str) and kind in _INPUT_ONLY:
        return usage._replace(prompt=usage.total)
    return None


def _names(config: dict[str, Any], metadata: dict[str, Any]) -> tuple[str, ...]:
    """What the table may call the model, the most certain name first.

    The answer names the model itself; a request may name a deployment or an alias.
    """
    names = (_name(metadata.get("response_model")), _name(config.get("model")))
    return tuple(dict.fromkeys(name for name in names if name))


@functools.lru_cache(maxsize=1024)
def _has_model(provider: str, model: str, response: str | None) -> bool:
    names = _names({"model": model}, {"response_model": response})
    return has_model(_name(provider), names)


def _tier(config: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    if config.get("batch") is True:
        return BATCH
    parameters = payload.bucket(config, "hyperparameters")
    return _name(metadata.get("service_tier")) or _name(parameters.get("service_tier"))


def _own_names(
    provider: str | None, config: dict[str, Any], metadata: dict[str, Any]
) -> tuple[str, ...]:
    """What a program's own prices may call the model: the name it asked for, and the answer's."""
    models = [_name(config.get("model")), _name(metadata.get("response_model"))]
    names = [name for name in models if name]
    return (*names, *(f"{provider}/{name}" for name in names if provider))


def _name(value: Any) -> str | None:
    return value.strip().lower() or None if isinstance(value, str) else None


def _own_cost(prices: ModelPrices, usage: CallUsage) -> Cost | None:
    """The cost by a program's own prices; None where a side that has tokens has no price."""
    fresh = usage.prompt - usage.cache_read - usage.cache_write
    short_lived = usage.cache_write - usage.cache_write_1h
    written = prices.input if prices.cache_write is None else prices.cache_write
    sides = (
        (fresh, prices.input),
        (usage.cache_read, prices.input if prices.cache_read is None else prices.cache_read),
        (short_lived, written),
        (usage.cache_write_1h, written if prices.cache_write_1h is None else prices.cache_write_1h),
    )
    prompt = _sum(sides)
    completion = _sum(((usage.completion, prices.output),))
    if prices.request is not None and prices.input is None and prices.output is None:
        prompt, completion = prompt or 0.0, completion or 0.0  # a price for the call as a whole
    if prompt is None or completion is None:
        return None
    beside = (prices.request or 0.0) + usage.web_searches * (prices.web_search or 0.0)
    return Cost(prompt + completion + beside, prompt, completion)


def _sum(sides: tuple[tuple[int, float | None], ...]) -> float | None:
    total = 0.0
    for count, price in sides:
        if count and price is None:
            return None
        total += count * (price or 0.0)
    return total / _MILLION
