"""Humanloop's projects, and the logs and sessions filed in them, as documents in the store.

Used by a plan on the writer thread, or on the reading threads for reading alone. Invariant: a
request sees its own additions, and they are written in the transaction of its logs.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import attrs

from sessiontrace.model.record import Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping
from sessiontrace.server.http import RequestRejected
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store

__all__ = ["FEEDBACK", "LOG", "PROJECT", "SESSION", "Project", "Projects"]

Body = dict[str, Any]

PROJECT = "humanloop.project"
SESSION = "humanloop.session"
LOG = "humanloop.log"
FEEDBACK = "humanloop.feedback"
_NAME = "humanloop.project-name"


@attrs.frozen
class Project:
    """A project; times in Unix ms."""

    id: str
    name: str
    created: int
    updated: int
    directory_id: str | None = None

    @classmethod
    def of(cls, note: Document) -> Project:
        """The project that a note holds."""
        body = note.body or {}
        return cls(note.id, body["name"], note.at, body["updated"], body.get("directory_id"))


class Projects:
    """The projects of a store as one request sees and changes them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._notes: dict[tuple[str, str], Document] = {}
        self._new_sessions: set[str] = set()
        self.answers: list[Body] = []
        """The feedback of this request, in order."""

    @property
    def notes(self) -> list[Document]:
        """The documents to write."""
        return list(self._notes.values())

    def _note(self, kind: str, id: str) -> Mapping[str, Any] | None:
        mine = self._notes.get((kind, id))
        return self._store.document(kind, id) if mine is None else mine.body

    def _put(self, kind: str, id: str, body: Body | None, at: int = 0) -> None:
        self._notes[kind, id] = Document(kind, id, at, body)

    # -- projects ---------------------------------------------------------------------------

    def project(self, log: Body) -> Project:
        """The project that a log names, created when it is new."""
        if log.get("project_id"):
            return self.by_id(str(log["project_id"]))
        return self.project_named(str(log["project"]), {})

    def project_named(self, name: str, body: Body) -> Project:
        """The project of this name, created where there is none."""
        owner = self._note(_NAME, name)
        if owner is not None:
            return self.by_id(owner["id"])
        project_id = f"pr_{mapping.short_hash(name)}"
        if self._note(PROJECT, project_id) is not None:  # the name's first owner was renamed
            project_id = f"pr_{uuid.uuid4().hex[:16]}"
        now = record_builder.now_ms()
        directory = body.get("directory_id")
        project = Project(project_id, name, now, now, directory and str(directory))
        self._write(project)
        return project

    def by_id(self, project_id: str) -> Project:
        """The project of this id, or ``RequestRejected``."""
        body = self._note(PROJECT, project_id)
        if body is None:
            raise RequestRejected(404, f"Project with ID {project_id!r} not found.")
        return Project(
            project_id, body["name"], body["created"], body["updated"], body.get("directory_id")
        )

    def change(self, project: Project, body: Body) -> Project:
        """The project with a new name or directory."""
        name = body.get("name")
        if isinstance(name, str) and name and name != project.name:
            if self._note(_NAME, name) is not None:
                raise RequestRejected(422, f"body.name: a project named {name!r} exists")
            self._put(_NAME, project.name, None)
            project = attrs.evolve(project, name=name)
        if isinstance(body.get("directory_id"), str):
            project = attrs.evolve(project, directory_id=body["directory_id"])
        project = attrs.evolve(project, updated=record_builder.now_ms())
        self._write(project)
        return project

    def remove(self, project: Project) -> None:
        """Remove the project; its logs stay in their sessions."""
        self._put(PROJECT, project.id, None)
        self._put(_NAME, project.name, None)

    def summary(self, project_id: str) -> Body | None:
        """A project as the response for a session lists it."""
        body = self._note(PROJECT, project_id)
        return None if body is None else {"id": project_id, "name": body["name"], "type": "prompt"}

    def _write(self, project: Project) -> None:
        body = attrs.asdict(project)
        del body["id"]
        self._put(PROJECT, project.id, body, project.created)
        self._put(_NAME, project.name, {"id": project.id})

    # -- sessions and logs ------------------------------------------------------------------

    def has_session(self, session_id: str) -> bool:
        """Whether the store has the session, or this request creates it."""
        return session_id in self._new_sessions or self._store.session(session_id, 1) is not None

    def session_of(self, event_id: str) -> str | None:
        """The session of a log; None when the store does not have the log."""
        record = self._store.record(event_id)
        return None if record is None else str(record["session_id"])

    def session(self, session_id: str, project: Project, fields: Body, log: Body) -> list[Record]:
        """The records to write so that the session exists and has a name."""
        if session_id in self._new_sessions or fields["event_id"] == session_id:
            return []
        self._new_sessions.add(session_id)
        record = record_builder.find_session(self._store, session_id)
        if record is None:
            reference = log.get("session_reference_id")
            _, original = record_builder.session_id_for(str(reference)) if reference else ("", {})
            description = {"event_name": project.name, "source": fields["source"]}
            session = record_builder.session(
                session_id, fields["start_time"], metadata=original or None, **description
            )
            return [session]
        if not record.get("event_name"):
            return [record_builder.patch(session_id, session_id, {"event_name": project.name})]
        return []

    def file(self, project: Project, event_id: str, session_id: str, at: int) -> None:
        """File a log, and its session, in a project."""
        self._put(f"{LOG}:{project.id}", event_id, {}, at)
        self._put(f"{SESSION}:{project.id}", session_id, {}, at)
        body = dict(self._note(SESSION, session_id) or {"projects": []})
        if project.id not in body["projects"]:
            body["projects"] = [*body["projects"], project.id]
        self._put(SESSION, session_id, body, at)

    def name_session(self, session_id: str, reference: str) -> None:
        """Remember the caller's own reference for the session."""
        body = dict(self._note(SESSION, session_id) or {"projects": []})
        self._put(SESSION, session_id, {**body, "reference_id": reference})

    # -- feedback ---------------------------------------------------------------------------

    def feedback(self, event_id: str, feedback: Any) -> Body:
        """File the feedback of a log; the changes to the feedback of its record."""
        changes: Body = {}
        entries = feedback if isinstance(feedback, list) else [feedback] if feedback else []
        for entry in entries:
            if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
                raise RequestRejected(422, "body.type: field required")
            kind, value = entry["type"], entry.get("value")
            now = record_builder.now_ms()
            at = record_builder.moment(entry.get("created_at"))
            # The same feedback sent twice is one.
            name = f"ann_{mapping.short_hash([event_id, kind, value, entry.get('user')])}"
            body = {
                "id": name,
                "type": kind,
                "value": "" if value is None else value,
                "data_id": mapping.prefixed("data_", event_id),
                "user": entry.get("user"),
                "created_at": record_builder.iso(now if at is None else at),
            }
            body = {key: inner for key, inner in body.items() if inner is not None}
            self._put(f"{FEEDBACK}:{event_id}", name, None if entry.get("unset") else body, now)
            changes[kind] = None if entry.get("unset") else body["value"]
            self.answers.append(body)
        return changes
