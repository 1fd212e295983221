"""A received span while its attributes are put into the names of the conventions.

A value, its caller's thread owns it. Invariant: what a span says in a conventional name stays; an
attribute of a producer goes only where the conventional attribute has its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessiontrace.wire.received_span import DEPTH, ReceivedSpan
from sessiontrace.wire.value_tree import as_lists, json_value, put

__all__ = ["Dialect", "Draft"]


class Draft:
    """The attributes of one span, to be taken by a producer's names and offered by conventional."""

    def __init__(self, span: ReceivedSpan) -> None:
        self.span = span
        self.attributes: dict[str, Any] = dict(span.attributes)

    def get(self, name: str) -> Any:
        """The value of an attribute, which stays; None where the span lacks it."""
        return self.attributes.get(name)

    def take(self, name: str) -> Any:
        """The value of an attribute, which is removed; None where the span lacks it."""
        return self.attributes.pop(name, None)

    def take_below(self, prefix: str) -> dict[str, Any]:
        """All attributes whose names begin with ``prefix``, by the rest of their names; removed."""
        names = [name for name in self.attributes if name.startswith(prefix)]
        return {name[len(prefix) :]: self.attributes.pop(name) for name in names}

    def take_items(self, prefix: str) -> list[Any]:
        """``prefix0.a.b``, ``prefix1.a.b``, ... as a list of nested objects; removed."""
        tree: dict[str, Any] = {}
        for path, value in self.take_below(prefix).items():
            put(tree, path.split(".", DEPTH), value)
        return [as_lists(tree[key]) for key in sorted(tree, key=_position)]

    def offer(self, name: str, value: Any) -> bool:
        """Set a conventional attribute where the span has none; whether it has this value now."""
        present = self.attributes.get(name)
        if value is None or value == present:
            return value is not None
        if present is not None and present != "":
            return False
        self.attributes[name] = value
        return True

    def rename(self, names: Mapping[str, str]) -> None:
        """Offer attributes under their conventional names.

        ``names``: the conventional name for each of the producer's. An attribute stays under its
        own name where the conventional one has another value.
        """
        for name, conventional in names.items():
            value = self.attributes.get(name)
            if value is not None and self.offer(conventional, value):
                del self.attributes[name]

    def offer_metadata(self, entries: Mapping[str, Any]) -> None:
        """Add entries to the metadata that OpenInference's ``metadata`` attribute holds."""
        if entries:
            present = json_value(self.attributes.get("metadata"))
            beside = {} if present is None else present
            if isinstance(beside, dict):
                self.attributes["metadata"] = {**entries, **beside}
            else:
                self.attributes.update(
                    (name, value) for name, value in entries.items() if name not in self.attributes
                )

    @property
    def is_model(self) -> bool:
        """Whether the span is about a model, as far as translation has come."""
        kind = self.attributes.get("openinference.span.kind")
        operation = self.attributes.get("gen_ai.operation.name")
        if isinstance(operation, str):
            return operation in _MODEL_OPERATIONS
        return isinstance(kind, str) and kind in _MODEL_KINDS


_MODEL_OPERATIONS = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
_MODEL_KINDS = frozenset({"LLM", "EMBEDDING"})


def _position(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdecimal() else (1 << 62, key)


class Dialect:
    """How one producer names things.

    ``heads``: the first parts of its attributes' names, of which a span of its own has at least
    one. ``translate``: puts its attributes into conventional names.
    """

    __slots__ = ("heads", "translate")

    def __init__(self, heads: frozenset[str], translate: Any) -> None:
        self.heads: frozenset[str] = heads
        self.translate: Any = translate
