"""How a coding agent gets what a text left out: as commands, or as calls of tools.

Pure. Invariant: a hint holds no recorded text, because an agent may run it. A session whose id is
not a UUID is ``ID`` in a hint, and a step is its number.
"""

from __future__ import annotations

from typing import Protocol

from sessiontrace.views.agent.recorded import bare_id

__all__ = ["CommandHints", "Hints", "ToolHints"]


def _id(session_id: str) -> str:
    return session_id if bare_id(session_id) == session_id else "ID"


class Hints(Protocol):
    """What to do for more of a session or of a step."""

    def session(self, session_id: str, following: int, budget: int) -> str:
        """How to read a whole step, the steps from ``following`` on, or more with a budget.

        ``following`` and ``budget`` (tokens): 0 for none.
        """
        ...

    def step(self, session_id: str, number: int, offset: int) -> str:
        """How to read the rest of a step, from a character on."""
        ...


class CommandHints:
    """Commands of ``sessiontrace``."""

    def session(self, session_id: str, following: int, budget: int) -> str:
        command = f"sessiontrace sessions show {_id(session_id)}"
        ways = [f"`{command} NUMBER --for-agent` prints a whole step"]
        if following:
            ways.append(f"`{command} --for-agent --from {following}` the steps from there on")
        if budget:
            ways.append(f"--budget {budget} more of all")
        return "; ".join(ways)

    def step(self, session_id: str, number: int, offset: int) -> str:
        command = f"sessiontrace sessions show {_id(session_id)} {number}"
        return f"`{command} --for-agent --from {offset}`"


class ToolHints:
    """Calls of the tools of the MCP server."""

    def session(self, session_id: str, following: int, budget: int) -> str:
        session = f'session="{_id(session_id)}"'
        ways = [f"show_step({session}, step=NUMBER) returns a whole step"]
        if following:
            ways.append(f"show_session({session}, first_step={following}) the steps from there on")
        if budget:
            ways.append(f"budget={budget} more of all")
        return "; ".join(ways)

    def step(self, session_id: str, number: int, offset: int) -> str:
        return f'show_step(session="{_id(session_id)}", step={number}, offset={offset})'
