"""Records of ended programs that wait for a destination with another key or address.

Invariant: counts only; nothing is sent to another key or address without the user's consent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import click

from sessiontrace.config import default_spool, resolve
from sessiontrace.model.destination import Destination
from sessiontrace.model.errors import ConfigError
from sessiontrace.spool.frame import Consumer
from sessiontrace.spool.status import Status, inspect
from sessiontrace.text.format import amount, printable

__all__ = ["Waiting", "adoption", "configured", "of_prefix", "report", "waiting"]


@attrs.frozen
class Waiting:
    """Records that wait for a destination which is not configured here.

    ``same_kind``: a destination of its kind is configured, with another key or address.
    """

    consumer: Consumer
    records: int
    same_kind: bool

    def text(self) -> str:
        """What waits."""
        verb = "waits" if self.records == 1 else "wait"
        kind = printable(self.consumer.kind)
        return f"{amount(self.records, 'record')} {verb} for a {kind} with another key or address"

    def advice(self, root: Path) -> str:
        """How to look at the records, and how to send them."""
        prefix = printable(self.consumer.fingerprint[:8])
        place = "" if root == default_spool() else f" {printable(str(root))}"
        return (
            f"to look at them: sessiontrace spool show {prefix}{place}; "
            f"to send them here: sessiontrace spool flush --adopt-from {prefix}{place}"
        )


def configured(root: Path) -> tuple[Destination, ...]:
    """The environment's destinations; none where it has faults."""
    try:
        return resolve((), {"spool": root, "enabled": True})[0]
    except ConfigError:
        return ()


def waiting(spools: Sequence[Status], destinations: Sequence[Destination]) -> list[Waiting]:
    """What ended programs left for destinations that are not among these."""
    ours = {destination.fingerprint() for destination in destinations}
    kinds = {destination.kind for destination in destinations}
    counts: dict[Consumer, int] = {}
    for spool in spools:
        for lag in () if spool.alive else spool.lags:
            if lag.pending and lag.consumer.fingerprint not in ours:
                counts[lag.consumer] = counts.get(lag.consumer, 0) + lag.pending
    return [Waiting(consumer, count, consumer.kind in kinds) for consumer, count in counts.items()]


def report(root: Path, others: Sequence[Waiting]) -> bool:
    """Say what waits for other keys or addresses; whether anything does."""
    for other in others:
        click.echo(f"{other.text()}; {other.advice(root)}", err=True)
    return bool(others)


def of_prefix(
    spools: Sequence[Status], destinations: Sequence[Destination], prefix: str
) -> list[Waiting]:
    """What waits for the one destination with this beginning of a fingerprint."""
    matches = [
        other
        for other in waiting(spools, destinations)
        if other.consumer.fingerprint.startswith(prefix)
    ]
    if len({other.consumer.fingerprint for other in matches}) != 1:
        raise click.ClickException(
            f"{len(matches)} destinations of ended programs have a fingerprint that begins with "
            f"{prefix!r}; see `sessiontrace spool status`"
        )
    return matches


def adoption(
    root: Path, destinations: Sequence[Destination], prefix: str, yes: bool
) -> dict[str, str]:
    """The destination's name by fingerprint, after the user has agreed."""
    matches = of_prefix(inspect(root), destinations, prefix)
    consumer = matches[0].consumer
    targets = [target for target in destinations if target.kind == consumer.kind]
    same_name = [target for target in targets if target.name == consumer.name]
    if len(same_name or targets) != 1:
        raise click.ClickException(
            f"the environment has to configure one {consumer.kind} to send them to"
        )
    (target,) = same_name or targets
    count = sum(other.records for other in matches)
    if not yes:
        click.confirm(
            f"Send {count:,} records, recorded for a {consumer.kind} with another key or address, "
            f"to {target.name}?",
            abort=True,
        )
    return {consumer.fingerprint: target.name}
