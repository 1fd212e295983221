"""``sessiontrace doctor``: whether records can reach their destinations, and what to do if not.

Invariant: the exit status is 1 exactly when a finding is a fault.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs
import click
import orjson

from sessiontrace.cli.doctor_checks import (
    FAULT,
    OK,
    WARNING,
    Finding,
    look_at,
    look_at_capture,
    look_at_platform,
    look_at_prices,
    look_at_spool,
)
from sessiontrace.cli.render.console import stdout_console
from sessiontrace.cli.rich_command import RichCommand
from sessiontrace.config import resolve
from sessiontrace.model.destination import Destination
from sessiontrace.text.format import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["command"]

_STYLES = {OK: "green", WARNING: "yellow", FAULT: "bold red"}


@click.command("doctor", cls=RichCommand)
@click.argument("destinations", nargs=-1, metavar="[DESTINATION]...")
@click.option("--canary", is_flag=True, help="Send one small session to each destination.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(destinations: tuple[str, ...], canary: bool, as_json: bool) -> None:
    """Check destinations, spool and installation.

    For each destination: address, certificate, key and clock; then disk, and the compiled part.
    The exit status is 1 when something is at fault, and each fault says what to do. DESTINATION: a
    name; default the destinations that a program in this environment uses.
    """
    targets, options = resolve(destinations, {})
    findings = asyncio.run(_look(targets, canary))
    findings["spool"] = look_at_spool(options.spool, targets)
    findings["capture"] = [
        look_at_platform(options.spool),
        look_at_capture(),
        look_at_prices(options.prices),
    ]
    if as_json:
        plain = {name: [attrs.asdict(item) for item in items] for name, items in findings.items()}
        click.echo(orjson.dumps(plain, option=orjson.OPT_INDENT_2))
    else:
        console = stdout_console()
        for name, items in findings.items():
            _print(console, name, items)
    if any(item.state == FAULT for items in findings.values() for item in items):
        raise click.exceptions.Exit(1)


async def _look(targets: tuple[Destination, ...], canary: bool) -> dict[str, list[Finding]]:
    findings = await asyncio.gather(*(look_at(target, canary) for target in targets))
    return {target.name: items for target, items in zip(targets, findings, strict=True)}


def _print(console: Console, name: str, findings: list[Finding]) -> None:
    from rich.text import Text

    console.print(Text(printable(name), style="bold"))
    for finding in findings:
        line = Text("  ")
        line.append(f"{finding.state:<8}", style=_STYLES[finding.state])
        line.append(f"{finding.subject:<12}{printable(finding.text)}")
        console.print(line, soft_wrap=True)
        if finding.advice:
            console.print(Text(f"{'':<22}{finding.advice}", style="dim"), soft_wrap=True)
