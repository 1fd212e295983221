"""What the attributes of a span are read as, remembered by the list of their names.

Pure functions, no thread owns them. The spans of one instrumentation repeat their names, so most
are looked up once. Invariant: a plan depends on the names alone, and the plans that are kept are
bounded in number and size.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from sessiontrace.model.fields import BUCKETS
from sessiontrace.wire.message_reader import MESSAGE_FIELD
from sessiontrace.wire.received_span import DEPTH
from sessiontrace.wire.semconv import TABLE, Field
from sessiontrace.wire.session_facts import SESSION_KEYS

__all__ = ["OWN_TYPES", "NamePlan", "Others", "bucket_path", "plan_of"]

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


Others = tuple[tuple[str, tuple[str, ...] | None], ...]


class NamePlan(NamedTuple):
    """How to read attributes of these names.

    ``fields``: of the conventions' table, each with the attribute that gives it, the one that wins
    first. ``others``: attributes for the metadata, each with the path that an exporter of
    HoneyHive's or ours wrote into its name, in their order.
    """

    fields: tuple[tuple[Field, str], ...]
    others: Others

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
    others = [
        (name, bucket_path(name)) for name in names if name not in _BY_NAME and name not in _READ
    ]
    return NamePlan(
        tuple((_BY_NAME[name][1], name) for _, name in ranked),
        tuple((name, path) for name, path in others if path or not MESSAGE_FIELD.match(name)),
    )


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
