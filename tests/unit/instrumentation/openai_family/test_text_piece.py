"""The shortcut of a streamed piece of text: both forms take the same chunks, and no other ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pydantic
import pytest

from sessiontrace.instrumentation.openai_family import _text_piece_py, text_piece

FORMS = [_text_piece_py.TextPieces, text_piece.TextPieces]


class Model(pydantic.BaseModel, extra="allow"):
    """What the SDKs' chunks are made of."""


class Delta(Model):
    content: Any = None
    role: Any = None


class Choice(Model):
    delta: Any = None
    index: Any = 0
    finish_reason: Any = None
    logprobs: Any = None


class Chunk(Model):
    choices: Any = None
    usage: Any = None
    moderation: Any = None


def chunk(delta: Any = None, choice: dict[str, Any] | None = None, **fields: Any) -> Chunk:
    delta = Delta(content="word") if delta is None else delta
    return Chunk(choices=[Choice(delta=delta, **(choice or {}))], **fields)


TAKEN = [
    chunk(),
    chunk(Delta(content="word", role=None)),
    chunk(obfuscation="x"),
]
LEFT = [
    chunk(Delta(content="")),
    chunk(Delta(content=None)),
    chunk(Delta(content=["word"])),
    chunk(Delta(content="word", role="assistant")),
    chunk(Delta(content="word", reasoning="why")),
    chunk(choice={"finish_reason": "stop"}),
    chunk(choice={"logprobs": {"content": []}}),
    chunk(choice={"index": 7}),
    chunk(choice={"index": [0]}),
    chunk(choice={"content_filter": "x"}),
    chunk(usage={"total_tokens": 1}),
    chunk(moderation={"flagged": True}),
    chunk(system="x"),
    Chunk(choices=[]),
    Chunk(choices=None),
    Chunk(choices=[Choice(delta=Delta(content="word"))] * 2),
    Chunk(choices=[None]),
    SimpleNamespace(choices=[SimpleNamespace(delta=SimpleNamespace(content="word"))]),
    {"choices": [{"delta": {"content": "word"}}]},
    None,
    5,
]


def pieces_of(form: Any) -> Any:
    """Pieces of text of one choice, with the other chunks beside them."""

    class Pieces(form):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.texts[0] = []
            self.rare = ("moderation",)
            self.others: list[Any] = []

        def add_other(self, chunk: Any) -> None:
            self.others.append(getattr(chunk, "__dict__", chunk))

    return Pieces()


@pytest.mark.parametrize("form", FORMS, ids=["python", "in use"])
def test_a_piece_of_text_alone_is_taken(form: Any) -> None:
    """Fields that were sent as null, and padding, change nothing."""
    pieces = pieces_of(form)
    for piece in TAKEN:
        pieces.add(piece)
    assert pieces.texts == {0: ["word"] * len(TAKEN)}
    assert pieces.last is TAKEN[-1]
    assert pieces.others == []


@pytest.mark.parametrize("form", FORMS, ids=["python", "in use"])
@pytest.mark.parametrize("number", range(len(LEFT)))
def test_every_other_chunk_is_left(form: Any, number: int) -> None:
    """Whatever else it holds would be lost, and what is no model of an SDK is read elsewhere."""
    pieces = pieces_of(form)
    pieces.add(LEFT[number])
    assert pieces.texts == {0: []}
    assert pieces.last is None
    assert len(pieces.others) == 1


@pytest.mark.parametrize("form", FORMS, ids=["python", "in use"])
def test_a_chunk_that_raises_is_left_to_the_observer(form: Any) -> None:
    """An error that is no sign of another form is the chunk's own."""

    class Broken:
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise RuntimeError("not now")

    with pytest.raises(RuntimeError, match="not now"):
        pieces_of(form).add(Broken())
