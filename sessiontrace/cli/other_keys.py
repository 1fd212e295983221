"""Records of ended programs that wait for a destination with another key or address.

Invariant: counts only; nothing is sent to another key or address without the user's consent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sessiontrace.model.destination import Destination
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.status import Status, inspect

__all__ = ["adoption", "report"]


def report(root: Path, destinations: Sequence[Destination]) -> bool:
    """Say what waits for other keys or addresses; whether anything does."""
    waiting = _waiting(inspect(root), destinations)
    for consumer, count in waiting.items():
        click.echo(
            f"{count:,} records wait for a {consumer.kind} with another key or address; to send "
            f"them here: sessiontrace spool flush --adopt-from {consumer.fingerprint[:8]}",
            err=True,
        )
    return bool(waiting)


def adoption(
    root: Path, destinations: Sequence[Destination], prefix: str, yes: bool
) -> dict[str, str]:
    """The destination's name by fingerprint, after the user has agreed."""
    waiting = _waiting(inspect(root), destinations)
    matches = {
        consumer: count
        for consumer, count in waiting.items()
        if consumer.fingerprint.startswith(prefix)
    }
    if len({consumer.fingerprint for consumer in matches}) != 1:
        raise click.ClickException(
            f"{len(matches)} destinations of ended programs have a fingerprint that begins with "
            f"{prefix!r}; see `sessiontrace spool status`"
        )
    consumer = next(iter(matches))
    targets = [target for target in destinations if target.kind == consumer.kind]
    same_name = [target for target in targets if target.name == consumer.name]
    if len(same_name or targets) != 1:
        raise click.ClickException(
            f"the environment has to configure one {consumer.kind} to send them to"
        )
    (target,) = same_name or targets
    count = sum(matches.values())
    if not yes:
        click.confirm(
            f"Send {count:,} records, recorded for a {consumer.kind} with another key or address, "
            f"to {target.name}?",
            abort=True,
        )
    return {consumer.fingerprint: target.name}


def _waiting(spools: Sequence[Status], destinations: Sequence[Destination]) -> dict[Consumer, int]:
    ours = {destination.fingerprint() for destination in destinations}
    waiting: dict[Consumer, int] = {}
    for spool in spools:
        for lag in () if spool.alive else spool.lags:
            if lag.pending and lag.consumer.fingerprint not in ours:
                waiting[lag.consumer] = waiting.get(lag.consumer, 0) + lag.pending
    return waiting
