"""The labelled corpus of redaction: values with secrets in them, values without, and the figures.

``tests/corpus/redaction/secrets.jsonl``: ``secrets`` are the parts of ``value`` that must not be
recorded. ``others.jsonl``: values that must be recorded as they are. ``aside`` marks the quarter
that nothing was tuned on. Every secret is generated, and has a ``¦`` in it that is left out here:
scanners of repositories do not report it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from sessiontrace.capture.encoding.encoder import encode_object_and_check
from sessiontrace.capture.redaction.redactor import Redactor

FOLDER = Path(__file__).resolve().parents[1] / "corpus" / "redaction"
_BREAK = "¦"


class Sample(NamedTuple):
    """One value of the corpus; without ``secrets`` it must stay as it is."""

    kind: str
    value: Any
    secrets: tuple[str, ...]
    is_aside: bool


def samples() -> Iterator[Sample]:
    """The whole corpus."""
    for name in ("secrets.jsonl", "others.jsonl"):
        for line in (FOLDER / name).read_text(encoding="utf-8").replace(_BREAK, "").splitlines():
            entry = orjson.loads(line)
            value = entry["value"]
            if entry.get("form") == "asgi":
                value = _as_asgi(value)
            secrets = tuple(entry.get("secrets", ()))
            yield Sample(entry["class"], value, secrets, entry.get("aside", False))


def _as_asgi(value: dict[str, Any]) -> dict[str, Any]:
    """Headers as a server for ASGI has them: pairs of bytes."""
    pairs = [(name.encode(), item.encode()) for name, item in value["headers"]]
    return {**value, "headers": pairs}


def recorded(value: Any, redactor: Redactor) -> bytes:
    """The value as a span would record it."""
    encoded, needs_redaction = encode_object_and_check(value, "value", redactor.clean_texts)
    return redactor(b'{"inputs":%b}' % encoded) if needs_redaction else b'{"inputs":%b}' % encoded


def is_right(sample: Sample, redactor: Redactor) -> bool:
    """Whether all secrets of the sample are masked, or, without any, nothing of it is."""
    answer = recorded(sample.value, redactor)
    if sample.secrets:
        texts = orjson.dumps(sample.secrets).decode()[2:-2].split('","')
        return not any(text.encode() in answer for text in (*texts, *sample.secrets))
    encoded, _ = encode_object_and_check(sample.value, "value", redactor.clean_texts)
    return orjson.loads(answer) == {"inputs": orjson.loads(encoded)}
