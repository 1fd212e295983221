"""Judges of the attributes of OTel's GenAI conventions that hold JSON.

The rules below judge always; they are those of the newest schemas, where every part, message and
definition is looked at by its own type. The schemas themselves judge too where they lie beside the
checkout, in ``../shared/specs/otel-genai``.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

__all__ = ["faults_of"]

SCHEMAS = Path(__file__).resolve().parents[3] / "shared" / "specs" / "otel-genai"
FILES = {
    "gen_ai.input.messages": "gen-ai-input-messages.json",
    "gen_ai.output.messages": "gen-ai-output-messages.json",
    "gen_ai.system_instructions": "gen-ai-system-instructions.json",
    "gen_ai.tool.definitions": "gen-ai-tool-definitions.json",
    "gen_ai.retrieval.documents": "gen-ai-retrieval-documents.json",
}

TEXT, MAYBE, ANY, TYPED = "a text", "a text or null", "present", "an object with a type"
PARTS = {
    "text": {"content": TEXT},
    "reasoning": {"content": TEXT},
    "tool_call": {"name": TEXT, "id": MAYBE},
    "tool_call_response": {"response": ANY, "id": MAYBE},
    "server_tool_call": {"name": TEXT, "server_tool_call": TYPED, "id": MAYBE},
    "server_tool_call_response": {"server_tool_call_response": TYPED, "id": MAYBE},
    "blob": {"modality": TEXT, "content": TEXT, "mime_type": MAYBE, "transcript": MAYBE},
    "file": {"modality": TEXT, "file_id": TEXT, "mime_type": MAYBE, "transcript": MAYBE},
    "uri": {"modality": TEXT, "uri": TEXT, "mime_type": MAYBE, "transcript": MAYBE},
    "compaction": {"id": MAYBE, "content": MAYBE},
}
MESSAGE = {"role": TEXT, "name": MAYBE}
ANSWER = {**MESSAGE, "finish_reason": TEXT}
TOOL = {"type": TEXT, "name": TEXT}


def faults_of(attributes: dict[str, Any]) -> list[str]:
    """What is wrong with the attributes of a span."""
    faults: list[str] = []
    for name in FILES:
        if name in attributes:
            value = json.loads(attributes[name])
            faults += (f"{name}: {fault}" for fault in _faults(name, value))
            validator = _validator(name)
            if validator is not None:
                faults += (f"{name}: {fault.message}" for fault in validator.iter_errors(value))
    return faults


@functools.cache
def _validator(name: str) -> Any:
    path = SCHEMAS / FILES[name]
    if not path.exists():
        return None
    import jsonschema

    return jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def _faults(name: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        return ["is not a list"]
    if name == "gen_ai.system_instructions":
        return [fault for part in value for fault in _part(part)]
    if name == "gen_ai.tool.definitions":
        return [fault for tool in value for fault in _fields(tool, TOOL)]
    if name == "gen_ai.retrieval.documents":
        return [f"{entry} has no id or score" for entry in value if not _is_document(entry)]
    rules = ANSWER if name == "gen_ai.output.messages" else MESSAGE
    return [fault for message in value for fault in _message(message, rules)]


def _message(message: Any, rules: dict[str, str]) -> list[str]:
    faults = _fields(message, rules)
    if faults or not isinstance(message.get("parts"), list):
        return faults or [f"{message} has no parts"]
    return [fault for part in message["parts"] for fault in _part(part)]


def _part(part: Any) -> list[str]:
    faults = _fields(part, {"type": TEXT})
    return faults or _fields(part, PARTS.get(part["type"], {}))


def _fields(value: Any, rules: dict[str, str]) -> list[str]:
    if not isinstance(value, dict):
        return [f"{value!r} is not an object"]
    return [f"{name} of {value} is not {rule}" for name, rule in rules.items()
            if not _obeys(value, name, rule)]  # fmt: skip


def _obeys(value: dict[str, Any], name: str, rule: str) -> bool:
    entry = value.get(name)
    if rule == ANY:
        return name in value
    if rule == TYPED:
        return isinstance(entry, dict) and isinstance(entry.get("type"), str)
    return isinstance(entry, str) or (rule == MAYBE and entry is None)


def _is_document(entry: Any) -> bool:
    return isinstance(entry.get("id"), str) and isinstance(entry.get("score"), (int, float))
