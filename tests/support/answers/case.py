"""One golden case: what a provider answers, and the record that an event gets of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["KINDS", "Case", "Part", "Wire", "close_clients", "is_prefix", "pieces", "shared"]

KINDS = ("text", "reasoning", "call")


class Part(NamedTuple):
    """A part of an answer, by any provider. ``name``: of the function that is called."""

    kind: str
    text: str
    name: str = ""


class Case(NamedTuple):
    """``reply``: the whole answer; None for one that exists only as a stream.

    ``outputs``: those of the event. ``metadata``: fields of the event's metadata; None: the event
    must not have the field. ``chunks``: the stream, where ``Wire.chunks`` cannot derive it from
    the reply; an empty list: the answer does not stream.
    """

    reply: Any
    outputs: dict[str, Any]
    metadata: dict[str, Any]
    chunks: list[Any] | None = None


class Wire(NamedTuple):
    """How one provider sends its answers.

    ``chunks(reply, size)`` gives the stream of a reply, its texts cut into pieces of ``size``
    characters. ``framed(chunks)`` gives the bytes of a stream, one element for each chunk.
    ``library``: the module to import, and ``instrumentor`` its name here. ``ask(url, stream)``
    sends the request with the real client, reads the answer to its end, and yields its chunks.
    ``headers``: of a whole answer.
    """

    library: str
    instrumentor: str
    cases: dict[str, Case]
    chunks: Callable[[Any, int], list[Any]]
    framed: Callable[[list[Any]], list[bytes]]
    ask: Callable[[str, bool], Any]
    headers: dict[str, str] = {}  # noqa: RUF012  it stays empty


def pieces(text: str, size: int) -> list[str]:
    """A text in pieces of ``size`` characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def is_prefix(cut: Any, whole: Any) -> bool:
    """Whether all that a cut answer says is said by the whole one."""
    if cut is None or cut == whole:
        return True
    if isinstance(cut, str) and isinstance(whole, str):
        return whole.startswith(cut)
    if isinstance(cut, str):  # a tool's input, broken off before it can be decoded
        return cut.startswith("{")
    if isinstance(cut, dict) and isinstance(whole, dict):
        return all(is_prefix(value, whole.get(name)) for name, value in cut.items())
    if isinstance(cut, list) and isinstance(whole, list):
        return all(is_prefix(*pair) for pair in zip(cut, whole, strict=False)) and (
            len(cut) <= len(whole)
        )
    return cut in ({}, [], "")


_clients: dict[tuple[str, str], Any] = {}


def shared(library: str, url: str, make: Callable[[], Any]) -> Any:
    """The client of a library for this address; to make one takes tens of milliseconds."""
    if (library, url) not in _clients:
        _clients[library, url] = make()
    return _clients[library, url]


def close_clients() -> None:
    """Close all shared clients."""
    while _clients:
        _, client = _clients.popitem()
        client.close()
