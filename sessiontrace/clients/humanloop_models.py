"""Requests and replies of Humanloop's v4 API (OpenAPI document of October 2024).

Pure values, no thread owns them. Invariant: an answer's field without default is one that the
document calls required. Times are RFC 3339 texts as sent, durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

import attrs

from sessiontrace.clients.model import Model, list_of

__all__ = [
    "CreatedLog",
    "CreatedSession",
    "Feedback",
    "Log",
    "NewFeedback",
    "NewLog",
    "Project",
    "Session",
    "SessionProject",
]

Judgment = bool | float | str | list[str]


class NewLog(TypedDict, total=False):
    """A LogRequest.

    Required: ``project`` (a name, made if need be) or ``project_id``; ``config`` or ``config_id``.
    At most one each of ``session_id``/``session_reference_id`` and
    ``parent_id``/``parent_reference_id``; the latter cannot name a log of the same call.
    ``duration``: seconds. ``output``: a text.
    """

    project: str
    project_id: str
    session_id: str
    session_reference_id: str
    parent_id: str
    parent_reference_id: str
    reference_id: str
    inputs: Mapping[str, Any]
    source: str
    metadata: Mapping[str, Any]
    save: bool
    source_datapoint_id: str
    messages: Sequence[Mapping[str, Any]]
    output: str
    judgment: Judgment
    config_id: str
    config: Mapping[str, Any]
    environment: str
    feedback: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    created_at: str | datetime
    error: str
    stdout: str
    duration: float
    output_message: Mapping[str, Any]
    prompt_tokens: int
    output_tokens: int
    prompt_cost: float
    output_cost: float
    provider_request: Mapping[str, Any]
    provider_response: Mapping[str, Any]


class NewFeedback(TypedDict, total=False):
    """A FeedbackRequest. ``type``: rating, action, issue, correction, comment or any text."""

    type: str
    value: Judgment
    data_id: str
    user: str
    created_at: str | datetime
    unset: bool


@attrs.frozen(kw_only=True)
class CreatedSession(Model):
    """The answer to ``POST /sessions``: ``id`` starts with ``sesh_``."""

    id: str


@attrs.frozen(kw_only=True)
class SessionProject(Model):
    """A project that a session has logs in. ``type``: prompt, tool, dataset, evaluator, flow."""

    id: str
    name: str
    type: str | None = None


@attrs.frozen(kw_only=True)
class Session(Model):
    """A session. ``datapoints_count``: its logs; ``first_inputs``, ``last_output``: of those."""

    id: str
    datapoints_count: int
    created_at: str
    projects: tuple[SessionProject, ...] = list_of(SessionProject)
    reference_id: str | None = None
    first_inputs: Mapping[str, Any] | None = None
    last_output: str | None = None
    updated_at: str | None = None


@attrs.frozen(kw_only=True)
class CreatedLog(Model):
    """The answer to a new log: ``id`` starts with ``data_``."""

    id: str
    project_id: str | None = None
    session_id: str | None = None


@attrs.frozen(kw_only=True)
class Feedback(Model):
    """A feedback entry: ``id`` starts with ``ann_``; ``data_id`` is the log's."""

    id: str
    type: str
    value: Judgment | None = None
    data_id: str | None = None
    user: str | None = None
    created_at: str | None = None


@attrs.frozen(kw_only=True)
class Log(Model):
    """A log (datapoint). ``duration`` and ``provider_latency``: seconds."""

    id: str
    config: Mapping[str, Any] | None = None
    project: str | None = None
    project_id: str | None = None
    session_id: str | None = None
    session_reference_id: str | None = None
    parent_id: str | None = None
    parent_reference_id: str | None = None
    reference_id: str | None = None
    config_id: str | None = None
    inputs: Mapping[str, Any] | None = None
    messages: list[Mapping[str, Any]] | None = None
    output: str | None = None
    output_message: Mapping[str, Any] | None = None
    judgment: Judgment | None = None
    error: str | None = None
    stdout: str | None = None
    source: str | None = None
    metadata: Mapping[str, Any] | None = None
    feedback: tuple[Feedback, ...] = list_of(Feedback)
    environment: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    duration: float | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    prompt_cost: float | None = None
    output_cost: float | None = None
    provider_latency: float | None = None
    finish_reason: str | None = None
    user: str | None = None
    evaluation_results: list[Mapping[str, Any]] | None = None
    observability_status: str | None = None


@attrs.frozen(kw_only=True)
class Project(Model):
    """A project: ``id`` starts with ``pr_``; ``data_count`` counts its logs."""

    id: str
    name: str
    data_count: int | None = None
    users: list[Mapping[str, Any]] | None = None
    feedback_types: list[Mapping[str, Any]] | None = None
    team_id: str | None = None
    active_config: Mapping[str, Any] | None = None
    config_type: str | None = None
    active_evaluators: list[Mapping[str, Any]] | None = None
    directory_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
