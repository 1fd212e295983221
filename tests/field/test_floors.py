"""A dependency's oldest permitted version has no known fault that ends the process."""

from __future__ import annotations

import re

from support.subprocesses import REPO


def test_the_oldest_orjson_survives_deep_json() -> None:
    """Before 3.9.15, 100 000 brackets in a login request ended the server with SIGSEGV."""
    text = (REPO / "pyproject.toml").read_text()
    found = re.search(r'"orjson>=([\d.]+)"', text)
    assert found is not None
    assert tuple(map(int, found[1].split("."))) >= (3, 9, 15)
