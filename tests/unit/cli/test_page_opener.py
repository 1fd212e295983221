"""``serve --open``: the browser gets to the page logged in, and its command line says nothing."""

from __future__ import annotations

import stat
import webbrowser
from pathlib import Path
from urllib.request import url2pathname

import pytest

from sessiontrace.cli.page_opener import PageOpener
from sessiontrace.model.secret import Secret


def test_the_token_is_in_a_file_of_the_owner_and_not_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
):
    """Other users read command lines; the file is gone when the server ends."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    opener = PageOpener()
    opener.open("http://127.0.0.1:1/", Secret('secret-token-of-20-chars&<">'))
    (address,) = opened
    assert "secret" not in address
    path = Path(url2pathname(address.removeprefix("file://")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "http://127.0.0.1:1/#token=secret-token-of-20-chars%26%3C%22%3E" in path.read_text()
    opener.close()
    opener.close()
    assert not path.exists()


def test_a_server_without_token_is_opened_by_its_address(monkeypatch: pytest.MonkeyPatch):
    """No file is needed."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    opener = PageOpener()
    opener.open("http://127.0.0.1:1/", None)
    assert opened == ["http://127.0.0.1:1/"]
    opener.close()
