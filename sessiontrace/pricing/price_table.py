"""The price table of the package ``genai-prices``, loaded when the first call needs it.

Used in the sender's thread and the server's writer. The package is only read: its updater, which
would fetch newer prices from the network, is never started here. Invariant: a call that the table
cannot price for certain has no price, and nothing raises.

Source of the providers' names: OpenTelemetry's ``gen_ai.provider.name``, LangChain's
``ls_provider`` and litellm's prefixes, as of November 2026.
"""

from __future__ import annotations

import contextlib
import functools
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sessiontrace.model.call_usage import CallUsage
from sessiontrace.runtime import log
from sessiontrace.runtime.process_hooks import importing

__all__ = ["BATCH", "Cost", "PricedCall", "has_model", "table_cost", "table_version"]

# The table's providers, where they do not answer to the name that libraries record.
_PROVIDERS: dict[str, tuple[str, ...]] = {
    "azure.ai.openai": ("azure", "openai"),
    "azure.ai.inference": ("azure",),
    "azure_openai": ("azure", "openai"),
    "azure_ai": ("azure",),
    "azure": ("azure", "openai"),
    "gcp.gen_ai": ("google",),
    "google_genai": ("google",),
    "x_ai": ("x-ai",),
    "xai": ("x-ai",),
    "fireworks_ai": ("fireworks",),
    "mistralai": ("mistral",),
    "bedrock_converse": ("aws",),
    # The table takes these for OpenAI itself; they are whatever speaks its protocol.
    "openai_like": (),
    "custom_openai": (),
}
_PREFIXES = ("openrouter/", "models/", "publishers/google/models/", "publishers/anthropic/models/")
BATCH = "batch"
"""The tier of calls whose results were fetched as a batch."""

_TIERS = frozenset({"flex", "priority"})


class PricedCall(NamedTuple):
    """What the price of a call depends on.

    ``names``: the model's names, the most certain first. ``second``: its start, in Unix seconds.
    ``tier``: the service tier that answered, or that was asked for.
    """

    provider: str | None
    names: tuple[str, ...]
    usage: CallUsage
    second: int
    tier: str | None = None


class Cost(NamedTuple):
    """US dollars of a call: in all, and of its input and output; ``total`` includes searches."""

    total: float
    prompt: float
    completion: float


@functools.lru_cache(maxsize=1024)  # every lane prices the same records
def table_cost(call: PricedCall) -> Cost | None:
    """The cost of a call by the table; None without the package, or for an unknown model."""
    if _loaded() is None:
        return None
    for provider in _providers(call.provider, call.names):
        for name in call.names:
            with contextlib.suppress(Exception):  # an unknown model, or contradictory counts
                if (cost := _cost(provider, name, call)) is not None:
                    return cost
    return None


@functools.lru_cache(maxsize=1024)
def has_model(provider: str | None, names: tuple[str, ...]) -> bool:
    """Whether the table may have a price for a model with one of these names."""
    if _loaded() is None:
        return False
    for owner in _providers(provider, names):
        for name in names:
            with contextlib.suppress(Exception):  # as for an unknown model
                if _entry(owner, _bare(provider, name)) is not None:
                    return True
    return False


@functools.cache
def table_version() -> str | None:
    """The version of ``genai-prices``; None where it is absent or cannot be loaded."""
    package = _loaded()
    return None if package is None else str(package.__version__)


@functools.cache
def _loaded() -> Any:
    try:
        with importing():  # a fork that waited for the import must see the package
            import genai_prices
            import genai_prices.data_snapshot
    except ModuleNotFoundError as error:
        if error.name != "genai_prices":
            _log_fault(error)
        return None
    except Exception as error:
        _log_fault(error)
        return None
    return genai_prices


def _log_fault(error: Exception) -> None:
    log.log_once(
        "prices",
        f"genai-prices cannot be loaded ({type(error).__name__}); calls have no computed cost; "
        "pip install -U 'sessiontrace[prices]'",
    )


def _providers(provider: str | None, names: tuple[str, ...]) -> tuple[str | None, ...]:
    """The table's names for the provider; it guesses by the model only where there is none."""
    if provider is None:
        return ("litellm",) if any("/" in name for name in names) else (None,)
    return _PROVIDERS.get(provider, (provider,))


def _bare(provider: str | None, name: str) -> str:
    """The model's name without what a route to it puts before."""
    for prefix in (*_PREFIXES, *(() if provider is None else (f"{provider}/",))):
        name = name.removeprefix(prefix)
    return name


def _cost(provider: str | None, name: str, call: PricedCall) -> Cost | None:
    entry = _entry(provider, _bare(call.provider, name))
    if entry is None:
        return None
    table_provider, model = entry
    context = _context(call.tier)
    variants = model.price_variants or ()
    if context and not any(variant.when.items() <= context.items() for variant in variants):
        return None  # a batch, or another tier, at a price that the table does not have
    price = model.calc_price(
        _loaded().Usage(**_counts(call.usage)),
        table_provider,
        genai_request_timestamp=datetime.fromtimestamp(call.second, timezone.utc),
        price_context=context,
    )
    usage, prices = call.usage, price.model_price
    # A side without a price for its tokens is unknown, not free: models of sound or of images.
    if usage.prompt and not price.input_price and prices.input_mtok is None:
        return None
    if usage.completion and not price.output_price and prices.output_mtok is None:
        return None
    return Cost(float(price.total_price), float(price.input_price), float(price.output_price))


@functools.lru_cache(maxsize=1024)  # the package remembers the models that it knows only
def _entry(provider: str | None, name: str) -> tuple[Any, Any] | None:
    """The table's provider and model of this name; None where it has none."""
    table = _loaded().data_snapshot.get_snapshot()
    try:
        provider_and_model: tuple[Any, Any] = table.find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    return provider_and_model


def _counts(usage: CallUsage) -> dict[str, int]:
    counts = {
        "input_tokens": usage.prompt,
        "output_tokens": usage.completion,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "input_audio_tokens": usage.prompt_audio,
        "input_image_tokens": usage.prompt_images,
        "output_audio_tokens": usage.completion_audio,
        "output_image_tokens": usage.completion_images,
        "web_searches": usage.web_searches,
    }
    return {name: count for name, count in counts.items() if count}


def _context(tier: str | None) -> dict[str, str] | None:
    if tier == BATCH:
        return {"processing": "batch"}
    if tier == "fast":
        return {"service_tier": "fast", "speed": "fast"}  # OpenAI's name, and Anthropic's
    return {"service_tier": tier} if tier in _TIERS else None
