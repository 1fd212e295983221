"""The option ``prices``: a program's own prices for models, checked; a value.

Invariant: a ``Prices`` was checked whole, so that pricing a call with it cannot fail.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import orjson

__all__ = ["ModelPrices", "Prices", "has_table", "parse_prices"]

_PER_MILLION = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
_PER_CALL = ("web_search", "request")
_NAMES = (*_PER_MILLION, *_PER_CALL)
_FAULTS_MAX = 5
_EXAMPLE = "{'my-model': {'input': 3.0, 'output': 15.0}}"


class ModelPrices(NamedTuple):
    """US dollars for one model: for a million tokens of each kind, for a search, for a call.

    None where no price is set: reads and writes of the cache then cost what ``input`` costs.
    """

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    web_search: float | None = None
    request: float | None = None


@attrs.frozen
class Prices:
    """Where prices come from.

    ``own``: a program's own, by the name of a model or a pattern of names, in lower case; the
    longest pattern first. Other models have the prices of ``genai-prices`` where that package is
    installed. ``enabled``: False prices nothing.
    """

    own: tuple[tuple[str, ModelPrices], ...] = ()
    enabled: bool = True


def has_table() -> bool:
    """Whether ``genai-prices`` is installed; it is not imported for the answer."""
    return importlib.util.find_spec("genai_prices") is not None


def parse_prices(raw: Any, name: str) -> Prices:
    """From an argument or a variable: a bool, a mapping, JSON text or the path of a JSON file.

    Raises TypeError or ValueError with every fault, up to five.
    """
    if isinstance(raw, Prices):
        return raw
    if isinstance(raw, (str, os.PathLike)):
        raw = _from_text(str(raw).strip())
    if raw is False:
        return Prices(enabled=False)
    if raw is True:
        if not has_table():
            raise ValueError(
                "needs the package genai-prices; pip install 'sessiontrace[prices]', or give your "
                f"own prices: {_EXAMPLE}"
            )
        return Prices()
    if not isinstance(raw, Mapping):
        raise TypeError(f"must be true, false, or prices by model such as {_EXAMPLE}")
    return Prices(own=_own(raw))


def _from_text(text: str) -> Any:
    """The value in a variable."""
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    content: bytes | str = text
    if not text.startswith("{"):
        try:
            content = Path(text).expanduser().read_bytes()
        except (OSError, ValueError) as error:
            raise ValueError(
                f"cannot be read as a file ({type(error).__name__}); give the path of a JSON file, "
                "JSON text, true or false"
            ) from None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON ({error}); expected {_EXAMPLE}") from None
    if not isinstance(value, dict):
        raise TypeError(f"must hold a JSON object of prices by model such as {_EXAMPLE}")
    return value


def _own(raw: Mapping[Any, Any]) -> tuple[tuple[str, ModelPrices], ...]:
    faults: list[str] = []
    own: dict[str, ModelPrices] = {}
    for model, prices in raw.items():
        if not isinstance(model, str) or not model.strip():
            faults.append(f"{model!r} is not the name of a model")
            continue
        key = model.strip().lower()
        if key in own:
            faults.append(f"{model!r} is there twice; names of models have no case")
            continue
        own[key] = _model_prices(model, prices, faults)
    if faults:
        others = len(faults) - _FAULTS_MAX
        tail = [f"and {others} other faults"] if others > 0 else []
        raise ValueError("; ".join([*faults[:_FAULTS_MAX], *tail]))
    return tuple(sorted(own.items(), key=lambda entry: (-len(entry[0]), entry[0])))


def _model_prices(model: str, prices: Any, faults: list[str]) -> ModelPrices:
    if not isinstance(prices, Mapping):
        faults.append(
            f"{model!r}: {type(prices).__name__} is not a mapping; give US dollars for a million "
            "tokens, such as {'input': 3.0, 'output': 15.0}"
        )
        return ModelPrices()
    values: dict[str, float] = {}
    for label, price in prices.items():
        name = label.removesuffix("_mtok") if isinstance(label, str) else label
        if name not in _NAMES:
            faults.append(f"{model!r}: unknown price {label!r}; known are {', '.join(_NAMES)}")
        elif (amount := _amount(price)) is None:
            faults.append(f"{model!r}: {label} must be a number of US dollars from 0 up")
        else:
            values[name] = amount
    if not prices:
        faults.append(f"{model!r} has no price; known are {', '.join(_NAMES)}")
    return ModelPrices(**values)


def _amount(price: Any) -> float | None:
    from decimal import Decimal  # here, because most programs give no prices

    if isinstance(price, bool) or not isinstance(price, (int, float, Decimal)):
        return None
    try:
        amount = float(price)
    except (OverflowError, ValueError):
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None
