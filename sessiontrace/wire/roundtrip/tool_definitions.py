"""Tool definitions in the conventions' flat form, and back.

Pure functions, no thread owns them. Invariant: ``restored`` gives back what ``flat_tools`` was
given, for the form that ``form_of`` names.
"""

from __future__ import annotations

from typing import Any

from sessiontrace.model import payload

__all__ = ["flat_tools", "form_of", "restored"]

_NESTED, _ANTHROPIC, _DECLARATIONS = "function", "input_schema", "function_declarations"


def flat_tools(tools: Any) -> Any:
    """Tool definitions as the conventions have them, ``{type, name, description, parameters}``."""
    if not isinstance(tools, list):
        return tools
    flat: list[Any] = []
    for tool in tools:
        declarations = tool.get(_DECLARATIONS) if isinstance(tool, dict) else None
        several = declarations if isinstance(declarations, list) else [tool]
        flat += [_with_names(_flat_tool(entry)) for entry in several]
    return flat


def _with_names(definition: Any) -> dict[str, Any]:
    """A definition with a type and a name, which the conventions require of every tool."""
    if not isinstance(definition, dict):
        return {"type": _NESTED, "name": payload.text(definition)}
    kind, name = definition.get("type"), definition.get("name")
    if isinstance(kind, str) and isinstance(name, str):
        return definition
    if not isinstance(kind, str):  # Gemini's tools have their name as their only entry
        kind = _NESTED if isinstance(name, str) else next(iter(definition), "unknown")
    whole = name if isinstance(name, str) else kind if name is None else payload.text(name)
    return {**definition, "type": kind, "name": whole}


def _flat_tool(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    function = tool.get("function")
    if isinstance(function, dict):  # OpenAI's chat
        return {"type": tool.get("type", "function"), **function}
    if "name" not in tool:
        return tool
    definition = {"type": "function", **tool}
    if definition["type"] == "custom":  # Anthropic's word for a function
        definition["type"] = "function"
    if _ANTHROPIC in definition:
        definition["parameters"] = definition.pop(_ANTHROPIC)
    return definition


def form_of(tools: Any) -> str | None:
    """The form that the first definition has, which the others mostly share."""
    first = tools[0] if isinstance(tools, list) and tools else None
    if not isinstance(first, dict):
        return None
    return next((form for form in (_NESTED, _ANTHROPIC, _DECLARATIONS) if form in first), None)


def restored(flat: Any, form: Any) -> Any:
    """Flat definitions in a form that ``form_of`` names."""
    if not isinstance(flat, list) or not all(isinstance(tool, dict) for tool in flat):
        return flat
    if form == _NESTED:
        return [{"type": tool.get("type"), _NESTED: _without_type(tool)} for tool in flat]
    if form == _ANTHROPIC:
        return [_anthropic(tool) for tool in flat]
    if form == _DECLARATIONS:
        return [{_DECLARATIONS: [_without_type(tool) for tool in flat]}]
    return flat


def _without_type(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tool.items() if name != "type"}


def _anthropic(tool: dict[str, Any]) -> dict[str, Any]:
    definition = _without_type(tool)
    if "parameters" in definition:
        definition[_ANTHROPIC] = definition.pop("parameters")
    return definition
