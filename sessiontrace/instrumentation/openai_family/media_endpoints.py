"""OpenAI's images, speech, transcription, translation and moderation: requests and answers.

Pure functions, on the thread of the call. Invariant: sound and images are recorded by digest and
size, never as data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import get_field, other_fields, without_none
from sessiontrace.instrumentation.openai_family.responses_format import usage_of_response

_INPUTS = frozenset({"prompt", "input", "instructions"})
_REQUEST_FIELDS = _INPUTS | {"model", "image", "mask", "file", "known_speaker_references"}


def media_request(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and hyperparameters of a request's body; files travel beside the body."""
    inputs = {name: body[name] for name in _INPUTS if isinstance(body.get(name), (str, list))}
    hyperparameters = {
        name: value
        for name, value in body.items()
        if name not in _REQUEST_FIELDS and isinstance(value, (str, int, float, bool, list, dict))
    }
    return inputs, hyperparameters


def images_answer(result: Any) -> Answer:
    """The images, which the encoder reduces to digest and size, and their revised prompts."""
    images = [other_fields(image, frozenset()) for image in get_field(result, "data") or ()]
    return Answer({"images": images}, without_none(usage_of_response(get_field(result, "usage"))))


def speech_answer(result: Any) -> Answer:
    """The sound, by digest and size."""
    response = getattr(result, "response", None)
    content = response.content if response is not None else b""
    media_type = response.headers.get("content-type") if response is not None else None
    audio = {
        "media_type": media_type or "application/octet-stream",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return Answer({"audio": audio}, {})


def transcription_answer(result: Any) -> Answer:
    """The text, with the segments and words that the request chose."""
    if isinstance(result, str):
        return Answer({"text": result}, {})
    usage = get_field(result, "usage")
    metadata = without_none(usage_of_response(usage))
    if (seconds := get_field(usage, "seconds")) is not None:
        metadata["audio_seconds"] = seconds
    return Answer(other_fields(result, frozenset({"usage", "logprobs"})), metadata)


def moderation_answer(result: Any) -> Answer:
    """The verdict for each input."""
    results = get_field(result, "results") or []
    metadata = {
        "response_id": get_field(result, "id"),
        "response_model": get_field(result, "model"),
    }
    flagged = any(get_field(verdict, "flagged") for verdict in results)
    return Answer({"flagged": flagged, "results": results}, without_none(metadata))


class TranscriptionAssembler:
    """A transcription from the events of its stream."""

    __slots__ = ("_done", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._done: Any = None

    def add(self, event: Any) -> None:
        """Keep a piece of the text, or the last event, which has all of it."""
        kind = get_field(event, "type")
        if kind == "transcript.text.delta":
            self._texts.append(get_field(event, "delta") or "")
        elif kind == "transcript.text.done":
            self._done = event

    def answer(self) -> Answer:
        """The text as far as it has come."""
        if self._done is None:
            return Answer({"text": "".join(self._texts)}, {"stream_end": "cut"})
        metadata = without_none(usage_of_response(get_field(self._done, "usage")))
        return Answer({"text": get_field(self._done, "text")}, metadata)
