"""``sessiontrace keys``: what a name revokes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessiontrace.cli import main


@pytest.fixture
def keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> object:
    """Runs ``sessiontrace keys``; its status, and the lines that it prints."""
    monkeypatch.setenv("SESSIONTRACE_STORE", str(tmp_path / "store.db"))

    def run(*words: str) -> tuple[int, list[str]]:
        status = main(["keys", *words])
        captured = capsys.readouterr()
        return status, (captured.out or captured.err).splitlines()

    return run


def test_a_rotation_does_not_revoke_the_new_key(keys) -> None:
    """The new key has the name of the old one: the command names both and revokes neither, until
    it gets the id of one, or is asked to revoke both.
    """
    keys("add", "shop")
    keys("add", "shop")
    old, new = [line.split()[0] for line in keys("list")[1][1:]]
    status, message = keys("revoke", "shop")
    assert (status, message[0].startswith("Error: 2 keys have this name: ")) == (1, True)
    assert old in message[0]
    assert new in message[0]
    assert keys("revoke", old)[0] == 0
    assert [line.split()[0] for line in keys("list")[1][1:]] == [new]
    keys("add", "shop")
    assert len(keys("revoke", "shop", "--all")[1]) == 2
    assert len(keys("list")[1]) == 1


def test_all_keys_of_a_name_are_those_of_one_project(keys) -> None:
    """``--all`` does not answer the question for the project."""
    for project in ("one", "two"):
        keys("add", "shop", "--project", project)
    assert keys("revoke", "shop", "--all")[0] == 1
    assert len(keys("list")[1]) == 3
