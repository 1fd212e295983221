"""Images, speech, transcription, moderation, ranks and decisions: requests and answers.

Pure functions, on the thread of the call. Invariant: sound and files are recorded by digest and
size, never as data; the encoder reduces images to the same.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

import orjson

from sessiontrace.capture.encoding.media import of_bytes
from sessiontrace.instrumentation.core.model_calls import Answer
from sessiontrace.instrumentation.core.response_fields import get_field, other_fields, without_none
from sessiontrace.instrumentation.openai_family.chat_usage import usage_of
from sessiontrace.instrumentation.openai_family.responses_format import usage_of_response

_INPUTS = frozenset({"prompt", "input", "instructions", "query", "documents", "questions"})
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


def describe_files(files: Any) -> list[dict[str, Any]]:
    """The files of a request, each by field, name, type, size and digest.

    ``files``: a mapping or pairs, as httpx takes them. A file object is not read: it has no size.
    """
    pairs = files.items() if isinstance(files, Mapping) else files
    described = []
    for field, file in pairs:
        parts = file if isinstance(file, tuple) else (getattr(file, "name", None), file)
        name, content = parts[0], parts[1]
        fields = {"field": field, "name": os.path.basename(str(name)) if name else None}
        if isinstance(content, bytes):
            fields.update(of_bytes(memoryview(content)))
        if len(parts) > 2 and parts[2]:
            fields["media_type"] = parts[2]
        described.append(without_none(fields))
    return described


_IMAGES_FIELDS = frozenset({"data", "usage", "created", "created_at", "type", "id", "model"})


def images_answer(result: Any) -> Answer:
    """The images, which the encoder reduces to digest and size, and their revised prompts."""
    images = [other_fields(image, frozenset()) for image in get_field(result, "data") or ()]
    outputs = {"images": images, **other_fields(result, _IMAGES_FIELDS | {"object"})}
    return Answer(outputs, without_none(usage_of_response(get_field(result, "usage"))))


class ImagesAssembler:
    """Images from the events of their stream; a later partial image replaces an earlier one."""

    __slots__ = ("_completed", "_fields", "_partial", "_usage")

    def __init__(self) -> None:
        self._completed: list[dict[str, Any]] = []
        self._partial: Any = None
        self._fields: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}

    def add(self, event: Any) -> None:
        """Keep an image, whole or partial."""
        image = {"b64_json": get_field(event, "b64_json")}
        kind = get_field(event, "type") or ""
        self._fields.update(
            other_fields(event, _IMAGES_FIELDS | {"b64_json", "partial_image_index"})
        )
        if kind.endswith(".partial_image"):
            self._partial = {
                **image,
                "partial_image_index": get_field(event, "partial_image_index"),
            }
        elif kind.endswith(".completed"):
            self._completed.append(image)
            for name, count in usage_of_response(get_field(event, "usage")).items():
                if count is not None:
                    self._usage[name] = self._usage.get(name, 0) + count

    def answer(self) -> Answer:
        """The images as far as they have come."""
        if self._completed:
            return Answer({"images": self._completed, **self._fields}, self._usage)
        images = [] if self._partial is None else [self._partial]
        return Answer({"images": images, **self._fields}, {"stream_end": "cut"})


def speech_answer(result: Any) -> Answer:
    """The sound, by digest and size."""
    response = getattr(result, "response", None)
    assembler = SoundAssembler("" if response is None else response.headers.get("content-type", ""))
    assembler.add(b"" if response is None else response.content)
    return assembler.answer()


class SoundAssembler:
    """Sound from the pieces of a body, or from the events of a stream.

    ``media_type``: of the body, which may be a stream of events itself.
    """

    __slots__ = ("_line", "_media_type", "_sound", "_usage")

    def __init__(self, media_type: str = "") -> None:
        from sessiontrace.capture.encoding.media_digest import MediaDigest  # few programs need it

        self._sound = MediaDigest()
        self._usage: Any = None
        is_stream = media_type.startswith("text/event-stream")
        self._media_type = "" if is_stream else media_type
        self._line: bytes | None = b"" if is_stream else None

    def add(self, piece: Any) -> None:
        """Keep a piece of a body, or an event."""
        if isinstance(piece, str):
            piece = piece.encode() + b"\n"
        if not isinstance(piece, bytes):
            self._usage = get_field(piece, "usage") or self._usage
            encoded = get_field(piece, "audio") or get_field(piece, "b64") or ""
            self._sound.update(base64.b64decode(encoded))
        elif self._line is None:
            self._sound.update(piece)
        else:
            *lines, self._line = (self._line + piece).split(b"\n")
            for line in lines:
                if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                    self.add(orjson.loads(line[5:]))

    def answer(self) -> Answer:
        """The sound as far as it has come."""
        audio = {
            "media_type": self._media_type or "application/octet-stream",
            **self._sound.described(),
        }
        return Answer({"audio": audio}, without_none(usage_of_response(self._usage)))


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


def ranks_answer(result: Any) -> Answer:
    """The place and the score of each document."""
    ranks = [
        {name: get_field(rank, name) for name in ("index", "relevance_score")}
        for rank in get_field(result, "results") or ()
    ]
    metadata = {
        **usage_of(get_field(result, "usage")),
        "response_id": get_field(result, "id"),
        "response_model": get_field(result, "model"),
    }
    return Answer({"results": ranks}, without_none(metadata))


def decisions_answer(result: Any) -> Answer:
    """The answer to each question."""
    metadata = {
        **usage_of_response(get_field(result, "usage")),
        "response_id": get_field(result, "id"),
        "response_model": get_field(result, "model"),
    }
    return Answer({"answers": get_field(result, "answers") or []}, without_none(metadata))


class TranscriptionAssembler:
    """A transcription from the events of its stream."""

    __slots__ = ("_done", "_segments", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._segments: list[Any] = []
        self._done: Any = None

    def add(self, event: Any) -> None:
        """Keep a piece of the text, a segment, or the last event, which has all of the text."""
        kind = get_field(event, "type")
        if kind == "transcript.text.delta":
            self._texts.append(get_field(event, "delta") or "")
        elif kind == "transcript.text.segment":
            self._segments.append(other_fields(event, frozenset()))
        elif kind == "transcript.text.done":
            self._done = event

    def answer(self) -> Answer:
        """The text as far as it has come."""
        segments = {"segments": self._segments} if self._segments else {}
        if self._done is None:
            text = "".join(self._texts or [segment.get("text", "") for segment in self._segments])
            return Answer({"text": text, **segments}, {"stream_end": "cut"})
        outputs, metadata = transcription_answer(self._done)
        outputs.pop("type", None)
        return Answer({**outputs, **segments}, metadata)
