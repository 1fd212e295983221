"""The files for containers and systemd call commands and options that there are."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from sessiontrace.cli.app import root

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def of_dockerfile() -> list[str]:
    text = (DEPLOY / "Dockerfile").read_text()
    match = re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert match is not None
    return [str(word) for word in json.loads(match[1])]


def of_compose() -> Iterator[list[str]]:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return (service["command"] for service in services.values() if "command" in service)


def of_unit() -> list[str]:
    text = (DEPLOY / "sessiontrace.service").read_text()
    match = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert match is not None
    return shlex.split(match[1])[1:]


def of_comments() -> Iterator[list[str]]:
    """What the comments say to type after ``sessiontrace``."""
    for file in DEPLOY.iterdir():
        for line in file.read_text().splitlines():
            if line.startswith("#") and " keys add " in line:
                yield shlex.split("keys add " + line.split(" keys add ")[1])


COMMANDS = [of_dockerfile(), *of_compose(), of_unit(), *of_comments()]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_understood(words: list[str]) -> None:
    """Parsed as the command line does it, and not run."""
    command: click.Command = root
    context: click.Context | None = None
    while isinstance(command, click.Group):
        name, command_or_none, words = command.resolve_command(click.Context(command), words)
        assert name is not None
        assert command_or_none is not None
        command = command_or_none
    context = command.make_context("command", words)
    assert context.params


def test_a_container_is_not_root_and_keeps_its_data() -> None:
    """A user of its own, a volume, a check of its health, and a start without write access."""
    text = (DEPLOY / "Dockerfile").read_text()
    final = text.split("\nFROM ")[-1]
    for line in ("USER 10001", "VOLUME /data", "HEALTHCHECK"):
        assert f"\n{line}" in final
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert services["file"]["read_only"] is services["server"]["read_only"] is True
