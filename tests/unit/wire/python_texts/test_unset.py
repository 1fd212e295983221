"""Parameters that a caller left out are no parameters, however an instrumentor records them."""

from __future__ import annotations

from sessiontrace.wire.python_texts.unset import stated


def test_placeholders_of_sdks_are_left_out() -> None:
    """OpenAI's ``Omit`` and ``NOT_GIVEN``, Mistral's ``UNSET``; all that says something stays."""
    parameters = {
        "temperature": "<openai.Omit object at 0x7f9adbcf3850>",
        "top_p": "NOT_GIVEN",
        "n": "<class 'openai.NotGiven'>",
        "stop": "",
        "seed": None,
        "user": "Omit",
        "store": False,
        "top_k": 0,
    }
    assert stated(parameters) == {"user": "Omit", "store": False, "top_k": 0}


def test_keyword_arguments_are_parameters_too() -> None:
    """Portkey's client takes most of them as such; what is named beside them wins."""
    parameters = {"kwargs": {"tools": [1], "seed": 2}, "seed": 3}
    assert stated(parameters) == {"tools": [1], "seed": 3}
