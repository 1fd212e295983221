"""The values of a span: inputs, outputs and groups of fields, encoded when they are set.

Runs in the user's thread. A span keeps encoded snapshots only, so later changes to a value do not
show. Invariant: setting a value raises none of our errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from types import TracebackType
from typing import Any

import orjson

from sessiontrace.capture.encoding.encoder import encode_and_check
from sessiontrace.capture.encoding.exceptions import describe, is_cancelled, summary
from sessiontrace.capture.encoding.fast_path import classify
from sessiontrace.capture.encoding.safe_text import cut, kind_name, omitted, text_of
from sessiontrace.capture.encoding.short_repr import short_text
from sessiontrace.capture.encoding.walker import BoundedWalker
from sessiontrace.capture.handle import UNSET, SessionHandle
from sessiontrace.capture.redaction.clean_text_cache import CLEAN_KEYS, all_keys_clean
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["NO_INPUTS", "UNSET", "SpanValues", "name_of"]

NO_INPUTS = b"{}"

_ERROR_MAX = 8_000
NOTES_MAX = 100
NOTE_BYTES = 4_000
_NAME_MAX = 512
_NAMES_MAX = 1_000  # that are remembered
_KEYS_MAX = 1_000  # of one dict in `set`
_RAW_ROOM = 2_000  # characters of a small plain dict, whose values go into the record as they are
_RAW_TEXT_MAX = 1_000  # a shorter text goes into the record as it is

_Fragment = orjson.Fragment


def name_of(name: object) -> str:
    """A name as text of bounded length."""
    if type(name) is str and len(name) <= _NAME_MAX:
        return name
    return cut(name, _NAME_MAX) if type(name) is str else text_of(name, _NAME_MAX)


class SpanValues:
    """What a handle records besides its times and its place."""

    __slots__ = ("_inputs", "_needs_redaction", "_outputs", "_parts")

    recorder: TracerState
    session: SessionHandle
    state: int

    _inputs: bytes | None
    _outputs: bytes | None
    _parts: dict[str, Any] | None
    _needs_redaction: bool

    def _check_name(self, name: object) -> str:
        """A name that was not checked yet, as text of bounded length."""
        text = name_of(name)
        clean_texts = self.recorder.clean_texts
        if clean_texts.needs_masking((text,)):
            self._needs_redaction = True
        elif len(clean_texts.span_names) < _NAMES_MAX:
            clean_texts.span_names.add(text)
        return text

    def _check_text(self, text: str) -> None:
        """Check a text that goes into the record as it is."""
        if self.recorder.clean_texts.needs_masking((text,)):
            self._needs_redaction = True

    def set_error(self, error: str) -> None:
        """Mark the event as failed, with this message."""
        self._all_parts()["error"] = error
        self._check_text(error)

    def add_note(self, note: dict[str, Any]) -> None:
        """Add what the program logged to the metadata's ``logs``.

        There are at most ``NOTES_MAX`` of at most ``NOTE_BYTES`` bytes; others are counted in
        ``logs_omitted``. A value ``logs`` of the program's own stays.
        """
        metadata = self._own_group("metadata")
        notes = metadata.setdefault("logs", [])
        if type(notes) is not list or len(notes) >= NOTES_MAX:
            omitted_before = metadata.get("logs_omitted")
            count = omitted_before if type(omitted_before) is int else 0
            metadata["logs_omitted"] = count + 1
            return
        encoded, needs_redaction = encode_and_check(note, self.recorder.clean_texts, NOTE_BYTES)
        if needs_redaction:
            self._needs_redaction = True
        notes.append(_Fragment(encoded))

    def field_group(self, group: str) -> Mapping[str, Any] | None:
        """The values of one group ("metadata", ...) so far; None when the group was never set."""
        return None if self._parts is None else self._parts.get(group)

    def lacks(self, field: str) -> bool:
        """Whether "inputs" or "outputs" were never set."""
        if field == "inputs":
            return self._inputs is None or self._inputs is NO_INPUTS
        return self._outputs is None

    def _all_parts(self) -> dict[str, Any]:
        """The groups of fields but inputs and outputs, and the error; to write to."""
        if self._parts is None:
            self._parts = {}
        return self._parts

    def _own_group(self, group: str) -> dict[str, Any]:
        """One group of fields, to write to."""
        if self._parts is None:  # as `_all_parts`, without the call
            self._parts = {}
        values: dict[str, Any] = self._parts.setdefault(group, {})
        return values

    def merge_stream(self, parts: Mapping[str, Any], *, replace: bool) -> None:
        """Add what a stream came to: its outputs, encoded, and its values of other groups.

        ``replace``: the outputs take the place of others; else they only fill an empty place.
        """
        for group, values in parts.items():
            if group != "outputs":
                self.merge(group, values)
            elif replace or self._outputs is None:
                self._outputs = values
                self._needs_redaction = True

    def put(self, group: str, name: str, value: str) -> None:
        """Set one value of a group, of our own making: it is neither checked nor encoded."""
        self._own_group(group)[name] = value

    def merge(self, group: str, values: Mapping[str, object]) -> None:
        """Add values to one group of fields; those of the same key are replaced."""
        parts = self._parts
        if parts is None:
            parts = self._parts = {}
        own = parts.get(group)
        if own is None:
            own = parts[group] = {}
        try:
            if (
                type(values) is dict
                and classify(values, _RAW_ROOM, 2, self.recorder.clean_texts) == 0
            ):
                for key, value in values.items():
                    kind = type(value)
                    own[key] = value.copy() if kind is dict or kind is list else value
            else:
                self._merge_any(own, _pairs_of(values))
        except Exception as error:  # not a mapping
            raise_if_from_signal(error)
            own["_unencodable"] = short_text(values)
            self._needs_redaction = True

    def _merge_any(self, own: dict[str, Any], values: dict[str, object]) -> None:
        clean_texts = self.recorder.clean_texts
        pairs = dict.items(values)
        count = dict.__len__(values)
        for key, value in pairs if count <= _KEYS_MAX else islice(pairs, _KEYS_MAX):
            kind = type(value)
            if kind is str and len(value) <= _RAW_TEXT_MAX:  # type: ignore[arg-type]
                if hash(value) not in clean_texts.hashes:
                    self._check_text(value)  # type: ignore[arg-type]
            elif not (kind is int or kind is float or kind is bool or value is None):
                encoded, needs_redaction = encode_and_check(value, clean_texts)
                if needs_redaction:
                    self._needs_redaction = True
                value = _Fragment(encoded)
            own[name_of(key)] = value
        if not CLEAN_KEYS.issuperset(own) and not all_keys_clean(own):
            self._needs_redaction = True
        if count > _KEYS_MAX:
            own["…"] = omitted(count - _KEYS_MAX, "keys")

    def _record_error(self, error: object) -> None:
        """Mark the event as failed with an exception, or with what an error says."""
        if isinstance(error, BaseException):
            self._record_failure(error, error.__traceback__)
        elif error is not False:
            self.set_error(text_of(error, _ERROR_MAX) or "error")

    def _record_failure(self, error: BaseException, tb: TracebackType | None) -> None:
        try:
            if isinstance(error, GeneratorExit):
                return
            if is_cancelled(error):
                self.merge("metadata", {"cancelled": True})
                return
            self.set_error(summary(error))
            self.merge("metadata", {"error": describe(error, tb)})
        except Exception as error:
            raise_if_from_signal(error)
            self._all_parts().setdefault("error", kind_name(type(error)))


def _pairs_of(values: object) -> dict[str, object]:
    """A dict, or a dict read from a mapping of another class without running the user's code."""
    if issubclass(type(values), dict):
        return values  # type: ignore[return-value]
    plain = BoundedWalker().plain(values)
    if type(plain) is not dict:
        raise TypeError(f"not a mapping of a known class: {kind_name(type(values))}")
    return plain
