"""The option ``prices``: what is refused, with what advice, and which price wins."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sessiontrace.config import resolve
from sessiontrace.model.errors import ConfigError
from sessiontrace.pricing import prices
from sessiontrace.pricing.prices import ModelPrices, Prices, parse_prices


@pytest.mark.parametrize(
    ("raw", "advice"),
    [
        (5, "must be true, false, or prices by model such as"),
        ([("m", 1)], "must be true, false, or prices by model such as"),
        ({"m": 3.0}, "'m': float is not a mapping; give US dollars for a million tokens"),
        ({"m": {}}, "'m' has no price; known are input, output"),
        ({"m": {"inptu": 1.0}}, "'m': unknown price 'inptu'; known are input, output"),
        ({"m": {1: 1.0}}, "'m': unknown price 1; known are"),
        ({"m": {"input": "3"}}, "'m': input must be a number of US dollars from 0 up"),
        ({"m": {"input": -1}}, "from 0 up"),
        ({"m": {"input": True}}, "from 0 up"),
        ({"m": {"input": float("nan")}}, "from 0 up"),
        ({"m": {"output": Decimal("Infinity")}}, "from 0 up"),
        ({"m": {"input": 10**400}}, "from 0 up"),
        ({"": {"input": 1}}, "'' is not the name of a model"),
        ({7: {"input": 1}}, "7 is not the name of a model"),
        ({"M": {"input": 1}, "m": {"input": 2}}, "'m' is there twice"),
        ("nowhere.json", "cannot be read as a file (FileNotFoundError); give the path"),
        ("{not json", "is not valid JSON"),
    ],
)
def test_what_cannot_be_a_price_is_refused_at_init_with_what_to_do(raw: Any, advice: str) -> None:
    """A wrong price would be a wrong cost in every backend; a program learns of it at once."""
    with pytest.raises(ConfigError) as refusal:
        resolve((), {"prices": raw}, {})
    (fault,) = refusal.value.faults
    assert fault.startswith("prices=")
    assert advice in fault
    assert fault.endswith("(prices= or SESSIONTRACE_PRICES)")


def test_every_fault_is_named_and_a_long_list_stays_readable() -> None:
    """A table that was written by hand is corrected in one go, and the message fits a terminal."""
    raw = {f"model-{number}": {"input": -1.0} for number in range(900)}
    with pytest.raises(ConfigError) as refusal:
        resolve((), {"prices": raw}, {})
    (fault,) = refusal.value.faults
    assert fault.count("from 0 up") == 5
    assert "and 895 other faults" in fault
    assert len(fault) < 900


def test_names_and_prices_are_taken_in_any_of_their_spellings() -> None:
    """Names have no case; genai-prices' own ``input_mtok`` and Decimals are fine."""
    own = parse_prices({" My-Model ": {"input_mtok": Decimal("2.5"), "output": 10}}, "prices").own
    assert own == (("my-model", ModelPrices(input=2.5, output=10.0)),)


def test_the_variable_takes_a_file_a_text_or_a_switch(tmp_path: Path) -> None:
    """A deployment sets prices without a change of code."""
    file = tmp_path / "prices.json"
    file.write_text('{"m": {"input": 1}}')
    expected = Prices(own=(("m", ModelPrices(input=1.0)),))
    for text in (str(file), '{"m": {"input": 1}}'):
        _, options = resolve((), {}, {"SESSIONTRACE_PRICES": text})
        assert options.prices == expected
    assert resolve((), {"prices": file}, {})[1].prices == expected
    assert not resolve((), {}, {"SESSIONTRACE_PRICES": "off"})[1].prices.enabled
    file.write_text("[1]")
    with pytest.raises(ConfigError, match="must hold a JSON object of prices by model"):
        resolve((), {"prices": file}, {})


def test_without_the_package_prices_true_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To ask for computed costs and get none would be noticed at the end of the month."""
    monkeypatch.setattr(prices.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'sessiontrace\[prices\]'"):
        resolve((), {"prices": True}, {})
    assert resolve((), {}, {})[1].prices == Prices()
