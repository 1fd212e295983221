"""``sessiontrace doctor``: whether sessions can get where they should, and what to do if not.

Invariant: the exit status is 1 exactly when a finding is a fault.
"""

from __future__ import annotations

import asyncio

import attrs
import click
import orjson
from rich.console import Console
from rich.text import Text

from sessiontrace.cli.doctor_checks import (
    FAULT,
    OK,
    WARNING,
    Finding,
    look_at,
    look_at_capture,
    look_at_spool,
)
from sessiontrace.cli.render.format import printable, terminal
from sessiontrace.config import resolve
from sessiontrace.model.destination import Destination

__all__ = ["doctor"]

_STYLES = {OK: "green", WARNING: "yellow", FAULT: "bold red"}


@click.command()
@click.argument("destinations", nargs=-1)
@click.option("--canary", is_flag=True, help="Send one small session to each destination.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(destinations: tuple[str, ...], canary: bool, as_json: bool) -> None:
    """Check destinations and spool: address, certificate, key, clock, disk.

    DESTINATIONS: by name; default what a program in this environment would use.
    """
    targets, options = resolve(destinations, {})
    found = asyncio.run(_look(targets, canary))
    found["spool"] = look_at_spool(options.spool, targets)
    found["capture"] = [look_at_capture()]
    if as_json:
        plain = {name: [attrs.asdict(one) for one in told] for name, told in found.items()}
        click.echo(orjson.dumps(plain, option=orjson.OPT_INDENT_2))
    else:
        console = terminal()
        for name, told in found.items():
            _show(console, name, told)
    if any(one.state == FAULT for told in found.values() for one in told):
        raise click.exceptions.Exit(1)


async def _look(targets: tuple[Destination, ...], canary: bool) -> dict[str, list[Finding]]:
    looked = await asyncio.gather(*(look_at(one, canary) for one in targets))
    return {one.name: told for one, told in zip(targets, looked, strict=True)}


def _show(console: Console, name: str, told: list[Finding]) -> None:
    console.print(Text(printable(name), style="bold"))
    for one in told:
        line = Text("  ")
        line.append(f"{one.state:<8}", style=_STYLES[one.state])
        line.append(f"{one.subject:<12}{printable(one.text)}")
        console.print(line, soft_wrap=True)
        if one.advice:
            console.print(Text(f"{'':<22}{one.advice}", style="dim"), soft_wrap=True)
