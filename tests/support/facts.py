"""What a vendor's API takes and returns, as compact facts of our own, and a check against them.

``tests/contract/facts/<vendor>.json`` states, for the routes that this package uses, the parameters
and bodies of requests and replies. ``facts_of`` reads the same facts from a published OpenAPI
document, so that a test can compare the two where the document is at hand.

    facts = load("honeyhive")
    facts.check_request("POST", "/v1/sessions", {"session_id": 7})    # raises FactError

A type is one of

    "text" "uuid" "date-time" "integer" "number" "boolean" "null" "any" "object"
    "@Name"                            the type of that name under "types"
    {"text": {"least": 1, "most": 9}}  with bounds; likewise "integer" and "number"
    {"list": TYPE}                     with "least" and "most" for its length
    {"values": [...]}                  one of these
    {"any of": [TYPE, ...]}  {"all of": [TYPE, ...]}
    {"fields": {NAME: TYPE}}           an object; "name!" is required; "others": the type of fields
                                       without a name, false where the object is closed
"""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

DIRECTORY = Path(__file__).resolve().parents[1] / "contract" / "facts"

Type = Any


class FactError(AssertionError):
    """A request or reply that the facts do not allow; the text says where and why."""


def load(name: str) -> Facts:
    """The facts about one vendor."""
    return _load(name)


@functools.cache
def _load(name: str) -> Facts:
    stated = json.loads((DIRECTORY / f"{name}.json").read_text())
    return Facts(stated["source"], stated["routes"], stated["types"])


@attrs.frozen
class Facts:
    """``source``: where the facts are from, with its version."""

    source: str
    routes: Mapping[str, Any]
    types: Mapping[str, Type]

    def check_request(self, method: str, path: str, body: Any = None) -> None:
        """Raise where the API would not take the request."""
        parts = urllib.parse.urlsplit(path)
        route, parameters = self._route(method, parts.path)
        query = route.get("query", {})
        parameters.update(urllib.parse.parse_qs(parts.query, keep_blank_values=True))
        for name, values in parameters.items():
            expected = route.get("path", {}).get(name) or query.get(name) or query.get(f"{name}!")
            forms = [values, values[-1], _parsed(values[-1])]  # a list, a text, or what it says
            faults = [self._fault(expected or "any", form, f"parameter {name}") for form in forms]
            if "" not in faults:
                raise FactError(faults[-1])
        for name in query:
            if name.endswith("!") and name[:-1] not in parameters:
                raise FactError(f"{method} {path}: parameter {name[:-1]} is missing")
        if "body" in route and not (body is None and route.get("body optional")):
            self.check(route["body"], body, "body")

    def check_reply(self, method: str, path: str, status: int, body: Any) -> None:
        """Raise where the API would not reply so."""
        route, _ = self._route(method, urllib.parse.urlsplit(path).path)
        replies = route["replies"]
        if str(status) not in replies:
            raise FactError(f"{method} {path}: no reply of status {status}")
        if (expected := replies[str(status)]) is not None:
            self.check(expected, body, "reply")

    def has_reply(self, method: str, path: str, status: int) -> bool:
        """Whether the facts say what the API replies with this status."""
        try:
            route, _ = self._route(method, urllib.parse.urlsplit(path).path)
        except FactError:
            return False
        return str(status) in route["replies"]

    def check(self, expected: Type, value: Any, place: str) -> None:
        """Raise where the value is not of the type."""
        if fault := self._fault(expected, value, place):
            raise FactError(fault)

    def _route(self, method: str, path: str) -> tuple[Mapping[str, Any], dict[str, list[str]]]:
        for name, route in sorted(self.routes.items(), key=lambda item: item[0].count("{")):
            verb, _, template = name.partition(" ")
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
            if verb == method and (match := re.fullmatch(pattern, path)):
                return route, {name: [value] for name, value in match.groupdict().items()}
        raise FactError(f"there is no {method} {path}")

    def _fault(self, expected: Type, value: Any, place: str) -> str:
        if isinstance(expected, str):
            if expected.startswith("@"):
                return self._fault(self.types[expected[1:]], value, place)
            return "" if _SCALARS[expected](value) else f"{place}: {value!r} is not {expected}"
        if "any of" in expected:
            faults = [self._fault(option, value, place) for option in expected["any of"]]
            return "" if "" in faults else "; ".join(faults)
        if "all of" in expected:
            return next(
                filter(None, (self._fault(t, value, place) for t in expected["all of"])), ""
            )
        if "values" in expected:
            fits = any(value == v and type(value) is type(v) for v in expected["values"])
            return "" if fits else f"{place}: {value!r} is not among {expected['values']}"
        if "list" in expected:
            return self._list_fault(expected, value, place)
        if "fields" in expected:
            return self._object_fault(expected, value, place)
        ((kind, bounds),) = expected.items()
        if not _SCALARS[kind](value):
            return f"{place}: {value!r} is not {kind}"
        return _bounds_fault(bounds, len(value) if kind == "text" else value, place)

    def _list_fault(self, expected: Type, value: Any, place: str) -> str:
        if not isinstance(value, list):
            return f"{place}: {value!r} is not a list"
        if fault := _bounds_fault(expected, len(value), place):
            return fault
        faults = (self._fault(expected["list"], v, f"{place}[{i}]") for i, v in enumerate(value))
        return next(filter(None, faults), "")

    def _object_fault(self, expected: Type, value: Any, place: str) -> str:
        if not isinstance(value, dict):
            return f"{place}: {value!r} is not an object"
        types = {name.rstrip("!"): kind for name, kind in expected["fields"].items()}
        for name in expected["fields"]:
            if name.endswith("!") and name[:-1] not in value:
                return f"{place}: {name[:-1]} is missing"
        others = expected.get("others", "any")
        for name, item in value.items():
            if name not in types and others is False:
                return f"{place}: {name} is not a field"
            if fault := self._fault(types.get(name, others), item, f"{place}.{name}"):
                return fault
        return ""


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and uuid.UUID(value) is not None
    except ValueError:
        return False


def _is_date_time(value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (ValueError, AttributeError):
        return False
    return "T" in value and moment is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_SCALARS: Mapping[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "boolean": lambda value: isinstance(value, bool),
    "date-time": _is_date_time,
    "integer": lambda value: _is_number(value) and value == int(value),
    "null": lambda value: value is None,
    "number": _is_number,
    "object": lambda value: isinstance(value, dict),
    "text": lambda value: isinstance(value, str),
    "uuid": _is_uuid,
}


def _bounds_fault(bounds: Mapping[str, Any], size: float, place: str) -> str:
    if size < bounds.get("least", size):
        return f"{place}: {size} is under {bounds['least']}"
    if size > bounds.get("most", size):
        return f"{place}: {size} is over {bounds['most']}"
    return f"{place}: {size} is not over {bounds['over']}" if size <= bounds.get("over", -1) else ""


def _parsed(text: str) -> Any:
    """A parameter's value: a number or boolean where it is written as one."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


# -- from a published document --------------------------------------------------------------


def facts_of(document: Mapping[str, Any], routes: list[str], source: str) -> Facts:
    """The facts about these routes in an OpenAPI document."""
    return _Reader(document).facts(routes, source)


class _Reader:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._types: dict[str, Type] = {}

    def facts(self, routes: list[str], source: str) -> Facts:
        return Facts(source, {name: self._route(name) for name in routes}, self._types)

    def _route(self, name: str) -> dict[str, Any]:
        method, _, path = name.partition(" ")
        item = self._document["paths"][path]
        operation = item[method.lower()]
        route: dict[str, Any] = {}
        for parameter in [*item.get("parameters", ()), *operation.get("parameters", ())]:
            if parameter["in"] in ("path", "query"):
                required = "!" if parameter["in"] == "query" and parameter.get("required") else ""
                kinds = route.setdefault(parameter["in"], {})
                kinds[parameter["name"] + required] = self._type(parameter["schema"])
        body = operation.get("requestBody")
        if body:
            route["body"] = self._type(body["content"]["application/json"]["schema"])
            if not body.get("required"):
                route["body optional"] = True
        route["replies"] = {
            status: self._reply(reply) for status, reply in operation["responses"].items()
        }
        return route

    def _reply(self, reply: Mapping[str, Any]) -> Type:
        if "$ref" in reply:
            reply = self._at(reply["$ref"])
        schema = reply.get("content", {}).get("application/json", {}).get("schema")
        return None if schema is None else self._type(schema)

    def _at(self, reference: str) -> Any:
        place: Any = self._document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        return place

    def _type(self, schema: Mapping[str, Any]) -> Type:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in self._types:
                self._types[name] = "any"  # while it is read: types may contain themselves
                self._types[name] = self._type(self._at(schema["$ref"]))
            return f"@{name}"
        kind = self._plain_type(schema)
        if schema.get("nullable") and kind != "any":
            kind = {"any of": [kind, "null"]}
        return kind

    def _plain_type(self, schema: Mapping[str, Any]) -> Type:
        for keyword, name in (("anyOf", "any of"), ("oneOf", "any of"), ("allOf", "all of")):
            if keyword in schema:
                options = [self._type(option) for option in schema[keyword]]
                if "properties" in schema:
                    return {"all of": [self._object(schema), {name: options}]}
                return options[0] if len(options) == 1 else {name: options}
        if "enum" in schema or "const" in schema:
            return {"values": schema.get("enum", [schema.get("const")])}
        kind = schema.get("type")
        if isinstance(kind, list):
            return {"any of": [self._plain_type({**schema, "type": one}) for one in kind]}
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema)
        if kind == "array":
            items = {"list": self._type(schema.get("items", {}))}
            return {**items, **_bounds(schema, "minItems", "maxItems")}
        if kind == "string":
            if schema.get("format") in ("uuid", "date-time"):
                return schema["format"]
            bounds = _bounds(schema, "minLength", "maxLength")
            return {"text": bounds} if bounds else "text"
        if kind in ("integer", "number"):
            bounds = _bounds(schema, "minimum", "maximum")
            if "exclusiveMinimum" in schema:
                bounds["over"] = schema["exclusiveMinimum"]
            return {kind: bounds} if bounds else kind
        return "any" if kind is None else kind

    def _object(self, schema: Mapping[str, Any]) -> Type:
        required = set(schema.get("required", ()))
        fields = {
            name + ("!" if name in required else ""): self._type(value)
            for name, value in schema.get("properties", {}).items()
        }
        others = schema.get("additionalProperties", True)
        if isinstance(others, dict):
            others = self._type(others) if others else True
        if not fields and others is True and not required:
            return "object"
        return {"fields": fields, **({} if others is True else {"others": others})}


def _bounds(schema: Mapping[str, Any], least: str, most: str) -> dict[str, Any]:
    names = {"least": least, "most": most}
    return {name: schema[keyword] for name, keyword in names.items() if keyword in schema}
