"""What the application needs of an SDK; ``sdk_*.py`` has one module each.

A module has ``PACKAGES``, the distributions whose versions are shown, and ``connect(backend, url,
project)``. Each uses its SDK as that SDK's documentation says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["SDK", "Step"]

Step = Callable[..., Any]


class SDK(Protocol):
    """One SDK, connected to a backend."""

    def turn(self, function: Step, name: str) -> Step:
        """The function as a turn with the conversation's id, its user and its tags."""

    def agent(self, function: Step, name: str) -> Step:
        """The function as a step of kind agent."""

    def retriever(self, function: Step, name: str) -> Step:
        """The function as a step that looks for documents."""

    def tool(self, function: Step, name: str) -> Step:
        """The function as a tool."""

    def score(self, name: str, value: float, comment: str) -> None:
        """Rate the open turn, where the SDK can."""

    def score_conversation(self, name: str, value: float) -> None:
        """Rate the whole conversation after its last turn, where the SDK can."""

    def stop(self) -> None:
        """Deliver everything."""
