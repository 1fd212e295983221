"""Humanloop's v4 API, typed: sessions, logs, feedback, projects.

Runs in the user's event loop. The hosted service closed on 8 September 2025: this client talks to
the local server, or to a service that rebuilt the API. Invariant: the client refuses what the API's
document forbids, with the reason, before it sends anything.

Sources: Humanloop's v4 OpenAPI document (October 2024) and the behaviour of its v4 clients 0.4.17
to 0.7.35 (bases of page numbers).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessiontrace.clients.base import Client
from sessiontrace.clients.errors import ApiError, FieldFault, UnexpectedAnswerError, ValidationError
from sessiontrace.clients.http import Answer, Query, Rest, path_part
from sessiontrace.clients.humanloop_models import (
    CreatedLog,
    CreatedSession,
    Feedback,
    Log,
    NewFeedback,
    NewLog,
    Project,
    Session,
)
from sessiontrace.clients.model import Listing, Model, Page, number
from sessiontrace.export.protocol import Reply
from sessiontrace.model.secret import Secret
from sessiontrace.vendors.humanloop import destination
from sessiontrace.vendors.shared.responses import printable

if TYPE_CHECKING:
    from typing import TypeVar

    from typing_extensions import Unpack

    M = TypeVar("M", bound=Model)

__all__ = ["Humanloop"]

_LOG_FIELDS = frozenset(NewLog.__annotations__)
_FEEDBACK_FIELDS = frozenset(NewFeedback.__annotations__)


class Humanloop(Client):
    """An async client of a Humanloop v4 API. Use it with ``async with``, in any asyncio loop.

    ``api_key``: default ``HUMANLOOP_API_KEY``; ``base_url``: required, default
    ``HUMANLOOP_BASE_URL``; ``/v4`` is added where it is missing. The other options are those of
    ``HoneyHive``. Raises ``ConfigError`` for options that cannot work.
    """

    def __init__(
        self,
        api_key: str | Secret | None = None,
        base_url: str = "",
        *,
        timeout: float = 30.0,
        retries: int = 2,
        proxy: str | Secret | None = None,
        ca_file: str | Path | None = None,
        client_cert: str | Path | None = None,
        client_key: str | Path | None = None,
        allow_insecure: bool = False,
    ) -> None:
        place = destination.Humanloop(
            api_key=api_key, base_url=base_url, allow_insecure=allow_insecure
        )
        super().__init__(
            place.complete(os.environ),
            key_header="X-API-KEY",
            key_prefix="",
            timeout=timeout,
            retries=retries,
            proxy=proxy,
            ca_file=ca_file,
            client_cert=client_cert,
            client_key=client_key,
        )
        call = _Caller(self._rest)
        self.sessions: Sessions = Sessions(call)
        self.logs: Logs = Logs(call)
        self.feedback: Feedbacks = Feedbacks(call)
        self.projects: Projects = Projects(call)


class _Caller:
    """Calls with Humanloop's form of refusals, and listings with its form of pages."""

    def __init__(self, api: Rest) -> None:
        self._rest = api

    async def __call__(self, method: str, path: str, **options: Any) -> Answer:
        return await self._rest.call(method, path, raises=_with_detail, **options)

    def listing(
        self, path: str, query: Query, model: type[M], *, first: int, page: int, size: int
    ) -> Listing[M]:
        """A listing whose pages count from ``first``."""
        if page < first or size < 1:
            raise ValueError(f"pages of {path} start at {first} and have at least 1 item")

        async def turn(at: int) -> Page[M]:
            answer = await self("GET", path, query={**query, "page": at, "size": size})
            return _page(answer.value, model, first, turn)

        return Listing(turn, page)


class Sessions:
    """``client.sessions``."""

    def __init__(self, call: _Caller) -> None:
        self._call = call

    async def create(self) -> CreatedSession:
        """Create a session (201). Put its id into logs as ``session_id``."""
        return CreatedSession.read((await self._call("POST", "/sessions")).value)

    async def get(self, id: str) -> Session:
        """The session with this id (``sesh_...``); ``NotFoundError`` when there is none."""
        return Session.read((await self._call("GET", f"/sessions/{path_part(id)}")).value)

    def list(self, project_id: str, page: int = 1, size: int = 10) -> Listing[Session]:
        """The sessions with any log in a project; pages count from 1.

        ``page = await client.sessions.list("pr_...")`` returns a page with ``data``, ``has_next``,
        ``await page.next()``; ``async for session in client.sessions.list("pr_...")`` yields all.
        """
        query = {"project_id": project_id}
        return self._call.listing("/sessions", query, Session, first=1, page=page, size=size)


class Logs:
    """``client.logs``."""

    def __init__(self, call: _Caller) -> None:
        self._call = call

    async def create(self, **log: Unpack[NewLog]) -> CreatedLog:
        """Create one log from the fields of ``NewLog``; ``TypeError`` for other fields."""
        answer = await self._call("POST", "/logs", body=_log(log))
        value = answer.value
        return CreatedLog.read(value[0] if isinstance(value, list) and len(value) == 1 else value)

    async def create_many(self, logs: Sequence[NewLog]) -> list[CreatedLog]:
        """Create logs in one call; the results are in their order.

        ``parent_reference_id`` cannot name a log of the same call (``ValueError``): parents first.
        """
        bodies = [_log(log) for log in logs]
        reference_ids = {body.get("reference_id") for body in bodies} - {None}
        for at, body in enumerate(bodies):
            if body.get("parent_reference_id") in reference_ids:
                raise ValueError(
                    f"log {at} names a parent of the same call; create parents in an earlier one"
                )
        answer = await self._call("POST", "/logs", body=bodies)
        if not isinstance(answer.value, list) or len(answer.value) != len(bodies):
            raise UnexpectedAnswerError(f"create_many: not {len(bodies)} answers")
        return [CreatedLog.read(log) for log in answer.value]

    async def get(self, id: str) -> Log:
        """The log with this id (``data_...``)."""
        return Log.read((await self._call("GET", f"/logs/{path_part(id)}")).value)

    def list(
        self,
        project_id: str,
        *,
        search: str | None = None,
        metadata_search: str | None = None,
        version_status: str | None = None,
        start_date: str | None = None,
        end_date: str | None = None,
        page: int = 0,
        size: int = 50,
    ) -> Listing[Log]:
        """The logs of a project; pages count from 0.

        ``version_status``: uncommitted, committed or deleted. Dates: ISO 8601, days or moments.
        """
        query: Query = {
            "project_id": project_id,
            "search": search,
            "metadata_search": metadata_search,
            "version_status": version_status,
            "start_date": start_date,
            "end_date": end_date,
        }
        return self._call.listing("/logs", query, Log, first=0, page=page, size=size)

    async def update(
        self,
        id: str,
        *,
        output: str | None = None,
        error: str | None = None,
        duration: float | None = None,
    ) -> Log:
        """Change output, error or duration (seconds) of a log; nothing else can be changed."""
        body = _change(output, error, duration)
        answer = await self._call("PATCH", f"/logs/{path_part(id)}", body=body, repeatable=True)
        return Log.read(answer.value)

    async def update_by_reference(
        self,
        reference_id: str,
        *,
        output: str | None = None,
        error: str | None = None,
        duration: float | None = None,
    ) -> Log:
        """The same, for the log that was created with this ``reference_id``."""
        answer = await self._call(
            "PATCH",
            "/logs",
            query={"reference_id": reference_id},
            body=_change(output, error, duration),
            repeatable=True,
        )
        return Log.read(answer.value)

    async def delete(self, *ids: str) -> None:
        """Delete logs (204)."""
        if not ids:
            raise TypeError("delete needs at least one id")
        await self._call("DELETE", "/logs", query={"id": list(ids)})


class Feedbacks:
    """``client.feedback``."""

    def __init__(self, call: _Caller) -> None:
        self._call = call

    async def create(self, **feedback: Unpack[NewFeedback]) -> Feedback:
        """Give feedback on a log: ``type``, ``value``, ``data_id`` and what ``NewFeedback`` has."""
        if "type" not in feedback:
            raise TypeError("feedback needs a type: rating, action, issue, correction, comment ...")
        _check_names(feedback, _FEEDBACK_FIELDS, "feedback")
        answer = await self._call("POST", "/feedback", body=_dated(feedback))
        value = answer.value
        return Feedback.read(value[0] if isinstance(value, list) and len(value) == 1 else value)


class Projects:
    """``client.projects``."""

    def __init__(self, call: _Caller) -> None:
        self._call = call

    def list(
        self,
        *,
        page: int = 0,
        size: int = 10,
        filter: str | None = None,
        user_filter: str | None = None,
        sort_by: str | None = None,
        order: str | None = None,
    ) -> Listing[Project]:
        """All projects; pages count from 0.

        ``sort_by``: created_at, updated_at or name; ``order``: asc or desc.
        """
        query: Query = {
            "filter": filter,
            "user_filter": user_filter,
            "sort_by": sort_by,
            "order": order,
        }
        return self._call.listing("/projects", query, Project, first=0, page=page, size=size)

    async def create(self, name: str, directory_id: str | None = None) -> Project:
        """Create a project (201); names are unique."""
        body = {"name": name, "directory_id": directory_id}
        body = {name: value for name, value in body.items() if value is not None}
        return Project.read((await self._call("POST", "/projects", body=body)).value)


# -- bodies ---------------------------------------------------------------------------------


def _log(log: Mapping[str, Any]) -> dict[str, Any]:
    """A LogRequest, checked."""
    _check_names(log, _LOG_FIELDS, "a log")
    for names in (("project", "project_id"), ("config", "config_id")):
        if not any(log.get(name) for name in names):
            raise TypeError(f"a log needs {names[0]} or {names[1]}")
    for names in (("session_id", "session_reference_id"), ("parent_id", "parent_reference_id")):
        if all(log.get(name) is not None for name in names):
            raise TypeError(f"a log takes {names[0]} or {names[1]}, not both")
    output = log.get("output")
    if output is not None and not isinstance(output, str):
        raise TypeError(f"output must be a text, not {type(output).__name__}: encode it as JSON")
    number("duration", log.get("duration"), "seconds")
    return _dated(log)


def _check_names(fields: Mapping[str, Any], names: frozenset[str], subject: str) -> None:
    if unknown := sorted(fields.keys() - names):
        raise TypeError(f"{subject} has no field {', '.join(unknown)}")


def _dated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with ``created_at`` as a text; a time without zone is local time."""
    body = {name: value for name, value in fields.items() if value is not None}
    at = body.get("created_at")
    if isinstance(at, datetime):
        body["created_at"] = at.astimezone(timezone.utc).isoformat()
    return body


def _change(output: str | None, error: str | None, duration: float | None) -> dict[str, Any]:
    number("duration", duration, "seconds")
    body = {"output": output, "error": error, "duration": duration}
    return {name: value for name, value in body.items() if value is not None}


def _page(
    value: Any, model: type[M], first: int, turn: Callable[[int], Awaitable[Page[M]]]
) -> Page[M]:
    names = ("records", "page", "size", "total")
    missing = [name for name in names if not isinstance(value, Mapping) or name not in value]
    if missing:
        raise UnexpectedAnswerError(f"the page lacks {', '.join(missing)}", missing)
    return Page(
        data=tuple(model.read(item) for item in value["records"]),
        page=value["page"],
        size=value["size"],
        total=value["total"],
        first=first,
        turn=turn,
    )


def _with_detail(error: ApiError, reply: Reply) -> ApiError:
    """A 422 as a ``ValidationError`` with its ``detail`` list."""
    body = error.body
    if error.status != 422 or not isinstance(body, dict):
        return error
    detail = body.get("detail")
    entries = detail if isinstance(detail, list) else []
    faults = tuple(
        FieldFault(
            tuple(entry.get("loc") or ()), str(entry.get("msg", "")), str(entry.get("type", ""))
        )
        for entry in entries
        if isinstance(entry, dict)
    )
    words = "; ".join(f"{'.'.join(map(str, fault.loc))}: {fault.msg}" for fault in faults)
    better = ValidationError(
        error.status,
        printable(words) or error.message,
        code=error.code,
        body=body,
        method=error.method,
        path=error.path,
    )
    better.detail = faults
    return better
