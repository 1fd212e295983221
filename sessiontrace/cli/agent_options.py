"""The options of output for coding agents, and the budget that they name.

Runs in the main thread. Invariant: a budget that cannot be understood is a usage error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sessiontrace.store.protocol import Store
from sessiontrace.views.agent.page import DEFAULT_BUDGET, budget_of
from sessiontrace.views.session_lookup import LookupFailedError, find_session
from sessiontrace.views.step_lookup import find_step

__all__ = ["agent_text", "budget_option", "for_agent_option", "start_option"]

for_agent_option: Callable[[Any], Any] = click.option(
    "--for-agent",
    is_flag=True,
    help="Print plain text for a coding agent: within a budget, recorded content marked as data.",
)


def _budget(context: click.Context, option: click.Parameter, value: str) -> int:
    try:
        return budget_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from None


budget_option: Callable[[Any], Any] = click.option(
    "--budget",
    metavar="N",
    callback=_budget,
    default=str(DEFAULT_BUDGET),
    show_default=True,
    help="With --for-agent: the most tokens to print, as in 8000 or 8k, or characters, as in "
    "32000c.",
)

start_option: Callable[[Any], Any] = click.option(
    "--from",
    "start",
    metavar="N",
    type=click.IntRange(0),
    help="With --for-agent: begin at step N, or of one step at character N.",
)


def agent_text(
    store: Store, session_id: str, step: str | None, budget: int, start: int | None
) -> str:
    """The session, or its step of that id, name or number, within ``budget`` tokens."""
    from sessiontrace.views.agent.hints import CommandHints
    from sessiontrace.views.agent.recorded import fault_text
    from sessiontrace.views.agent.session_text import session_text
    from sessiontrace.views.agent.step_text import step_text

    hints = CommandHints()
    try:
        stored = find_session(store, session_id)
        if step is None:
            return session_text(store, stored, budget, hints, start or 1)
        event = find_step(stored, step)
    except LookupFailedError as error:
        raise click.ClickException(fault_text(error.reason, error.choices)) from None
    record = store.event(event.event_id) or {}
    return step_text(stored, event, record, budget, hints, start or 0)
