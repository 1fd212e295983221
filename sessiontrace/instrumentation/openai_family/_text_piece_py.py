"""The Python form of ``TextPieces``: the specification; see ``text_piece``.

On the thread that reads the stream. Invariant: it takes a piece whole, or nothing.
"""

from __future__ import annotations

from typing import Any

PADDING = frozenset({"obfuscation"})
"""Fields beside the choices that say nothing."""


class TextPieces:
    """What an assembler keeps of its text; a subclass has ``add_other`` for the other chunks.

    ``texts``: the pieces of each choice, by its index. ``rare``: fields of the chunk that must not
    be set. ``last``: the last chunk of which only the text was kept.
    """

    __slots__ = ("last", "rare", "texts")

    def __init__(self) -> None:
        self.texts: dict[int, list[Any]] = {}
        self.rare: tuple[str, ...] = ()
        self.last: Any = None

    def add(self, chunk: Any) -> None:
        """Keep the text of a chunk that holds one piece of text of one choice and nothing else.

        Every other chunk, also one of another form than the SDK's models, goes to ``add_other``.
        """
        if _take_text(chunk, self.texts, self.rare):
            self.last = chunk
        else:
            self.add_other(chunk)

    def add_other(self, chunk: Any) -> None:
        """Take in a chunk that is not a piece of text."""
        raise NotImplementedError


def _take_text(chunk: Any, texts: dict[int, list[Any]], rare: tuple[str, ...]) -> bool:
    """Whether the chunk is such a piece; then it is appended."""
    # Where one attribute is read its name costs less than `__dict__`.
    try:
        chunk_fields = chunk.__dict__
        (choice,) = chunk_fields["choices"]
        choice_fields = choice.__dict__
        delta = choice_fields["delta"]
        content = delta.content
        if (
            content.__class__ is not str
            or not content
            or chunk_fields["usage"] is not None
            or choice_fields["finish_reason"] is not None
            or choice_fields["logprobs"] is not None
            or not (len(delta.__pydantic_fields_set__) == 1 or _is_alone(delta.__dict__))
            or delta.__pydantic_extra__
            or choice.__pydantic_extra__
            or ((extra := chunk.__pydantic_extra__) and not PADDING.issuperset(extra))
        ):
            return False
        for name in rare:
            if chunk_fields[name] is not None:
                return False
        texts[choice_fields["index"]].append(content)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


def _is_alone(fields: dict[str, Any]) -> bool:
    """Whether all fields but one are None."""
    return [*fields.values()].count(None) == len(fields) - 1
