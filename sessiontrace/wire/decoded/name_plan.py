"""What the attributes of a span are read as, remembered by the list of their names.

Pure functions, no thread owns them. The spans of one instrumentation repeat their names, so most
are looked up once. Invariant: a plan depends on the names alone, and the plans that are kept are
bounded in number and size.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sessiontrace.model.fields import BUCKETS
from sessiontrace.wire.message_reader import MESSAGE_FIELD
from sessiontrace.wire.received_span import DEPTH
from sessiontrace.wire.semconv import TABLE, Field
from sessiontrace.wire.session_facts import SESSION_KEYS

__all__ = ["OWN_TYPES", "NamePlan", "Others", "PlainField", "bucket_path", "plan_of"]

OWN_TYPES = ("sessiontrace.event.type", "honeyhive_event_type")
"""The names of a type that HoneyHive's or our own exporter wrote."""

_PLANS = 256
_MOST_CHARS = 2048  # of all names of a span whose plan is remembered

_READ = frozenset(
    {
        *SESSION_KEYS,
        *OWN_TYPES,
        "honeyhive.session_name",
        "honeyhive.session_auto_create",
        "honeyhive.source",
        "honeyhive.project",
        "honeyhive_event_name",
        "honeyhive_event_id",
        "honeyhive_error",
        "honeyhive_duration_ms",
        "sessiontrace.event.id",
        "sessiontrace.event.name",
        "sessiontrace.parent.id",
        "sessiontrace.source",
        "gen_ai.operation.name",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "openinference.span.kind",
        "traceloop.span.kind",
        "error.type",
        "tag.tags",
        "session.name",
        "session.input",
        "session.output",
    }
)
"""Attributes that ``span_reader``, or the server for ids and sessions, reads by name."""

_PLAIN = frozenset(
    {
        *("session.id", "gen_ai.conversation.id", "gen_ai.operation.name"),
        *("gen_ai.input.messages", "gen_ai.output.messages"),
    }
)
_PLAIN_OBJECTS = frozenset({"config", "metadata", "user_properties"})
_COPIED = frozenset({"text", "int"})

_BY_NAME: dict[str, tuple[int, Field]] = {}
"""The field that an attribute gives, with its rank: the lower rank wins a field.

Several fields may be written under one name, as the bounds of tokens are: the first one is read.
"""
for _rank, (_field, _name_of_field) in enumerate(
    (field, name)
    for field in TABLE
    for name in (*field.otel, *field.openinference, *field.traceloop)
):
    _BY_NAME.setdefault(_name_of_field, (_rank, _field))


PlainField = tuple[str, str, bool, str]
"""Object and key of a field, whether it is a text (else a count), and the attribute it is in."""
Others = tuple[tuple[str, tuple[str, ...] | None], ...]


class NamePlan(NamedTuple):
    """How to read attributes of these names.

    ``fields``: of the conventions' table, each with the attribute that gives it, the one that wins
    first. ``others``: attributes for the metadata, each with the path that an exporter of
    HoneyHive's or ours wrote into its name, in their order. ``plain``: the fields, where nothing
    but them, a session's id and a chat's messages is among the names; else None.
    """

    fields: tuple[tuple[Field, str], ...]
    others: Others
    plain: tuple[PlainField, ...] | None

    def others_without_values(self, attributes: Mapping[str, Any]) -> Others:
        """``others``, with those attributes of ``fields`` that have no value, which say nothing."""
        paths = dict(self.others)
        paths |= {name: None for _, name in self.fields if attributes[name] is None}
        return tuple((name, paths[name]) for name in attributes if name in paths)


def plan_of(attributes: Mapping[str, Any]) -> NamePlan:
    """The plan for these attributes."""
    names = tuple(attributes)
    if len("".join(names)) > _MOST_CHARS:  # an attribute for each field of each message
        return _plan(names)
    return _remembered_plan(names)


def _plan(names: tuple[str, ...]) -> NamePlan:
    ranked = sorted((_BY_NAME[name][0], name) for name in names if name in _BY_NAME)
    fields = tuple((_BY_NAME[name][1], name) for _, name in ranked)
    others = tuple(
        (name, path)
        for name in names
        if name not in _BY_NAME and name not in _READ
        if (path := bucket_path(name)) or not MESSAGE_FIELD.match(name)
    )
    is_plain = _PLAIN.issuperset(name for name in names if name not in _BY_NAME)
    return NamePlan(fields, others, _plain_fields(fields) if is_plain else None)


def _plain_fields(fields: Collection[tuple[Field, str]]) -> tuple[PlainField, ...] | None:
    """The fields as ``plain_span`` reads them; None where one needs more than a copy.

    A span that states only the model that answered needs it as the model of the call, too.
    """
    paths = {field.path for field, _ in fields}
    if ("config", "model") not in paths and ("metadata", "response_model") in paths:
        return None
    plain: list[PlainField] = []
    for field, name in fields:
        if len(field.path) != 2 or field.path[0] not in _PLAIN_OBJECTS or field.kind not in _COPIED:
            return None
        plain.append((field.path[0], field.path[1], field.kind == "text", name))
    return tuple(plain)


_remembered_plan = functools.lru_cache(maxsize=_PLANS)(_plan)


def bucket_path(key: str) -> tuple[str, ...] | None:
    """The path that HoneyHive's or our own exporter wrote into an attribute's name."""
    if not key.startswith(("honeyhive_", "sessiontrace.")):
        return None
    head, _, path = key.partition(".")
    if head.startswith("honeyhive_") and head[10:] in BUCKETS and path:
        return (head[10:], *path.split(".", DEPTH))
    part, _, name = path.partition(".")
    return (part, name) if head == "sessiontrace" and part in BUCKETS and name else None
