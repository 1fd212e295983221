"""Humanloop's projects, and what is filed in them, as notes in the store.

Used by a plan on the writer thread, or for reading alone. Invariant: what one request adds is seen
by the rest of that request, and written in the transaction of its logs.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import attrs

from sessiontrace.model.record import Record
from sessiontrace.server import record_builder
from sessiontrace.server.apis.humanloop import mapping as logs
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
        self._made: set[str] = set()
        self.answers: list[Body] = []
        """Feedback as it was taken, in order."""

    @property
    def notes(self) -> list[Document]:
        """What is to be written."""
        return list(self._notes.values())

    def _note(self, kind: str, id: str) -> Mapping[str, Any] | None:
        mine = self._notes.get((kind, id))
        return self._store.note(kind, id) if mine is None else mine.body

    def _keep(self, kind: str, id: str, body: Body | None, at: int = 0) -> None:
        self._notes[kind, id] = Document(kind, id, at, body)

    # -- projects ---------------------------------------------------------------------------

    def project(self, given: Body) -> Project:
        """The project that a log names; one named for the first time is made."""
        if given.get("project_id"):
            return self.by_id(str(given["project_id"]))
        return self.named(str(given["project"]), {})

    def named(self, name: str, given: Body) -> Project:
        """The project of this name, made where there is none."""
        found = self._note(_NAME, name)
        if found is not None:
            return self.by_id(found["id"])
        project_id = f"pr_{logs.short_hash(name)}"
        if self._note(PROJECT, project_id) is not None:  # the name's first owner was renamed
            project_id = f"pr_{uuid.uuid4().hex[:16]}"
        now = record_builder.now_ms()
        directory = given.get("directory_id")
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

    def changed(self, project: Project, given: Body) -> Project:
        """The project with a new name or directory."""
        name = given.get("name")
        if isinstance(name, str) and name and name != project.name:
            if self._note(_NAME, name) is not None:
                raise RequestRejected(422, f"body.name: a project named {name!r} exists")
            self._keep(_NAME, project.name, None)
            project = attrs.evolve(project, name=name)
        if isinstance(given.get("directory_id"), str):
            project = attrs.evolve(project, directory_id=given["directory_id"])
        project = attrs.evolve(project, updated=record_builder.now_ms())
        self._write(project)
        return project

    def remove(self, project: Project) -> None:
        """Take the project away; its logs stay in their sessions."""
        self._keep(PROJECT, project.id, None)
        self._keep(_NAME, project.name, None)

    def shown(self, project_id: str) -> Body | None:
        """A project as a session's answer shows it."""
        body = self._note(PROJECT, project_id)
        return None if body is None else {"id": project_id, "name": body["name"], "type": "prompt"}

    def _write(self, project: Project) -> None:
        body = attrs.asdict(project)
        del body["id"]
        self._keep(PROJECT, project.id, body, project.created)
        self._keep(_NAME, project.name, {"id": project.id})

    # -- sessions and logs ------------------------------------------------------------------

    def has_session(self, session_id: str) -> bool:
        """Whether the session is here."""
        return session_id in self._made or self._store.session(session_id, 1) is not None

    def session_of(self, event_id: str) -> str | None:
        """The session of a log that is here."""
        record = self._store.record(event_id)
        return None if record is None else str(record["session_id"])

    def session(self, session_id: str, project: Project, fields: Body, given: Body) -> list[Record]:
        """The records it takes for the session to be here, and to have a name."""
        if session_id in self._made or fields["event_id"] == session_id:
            return []
        self._made.add(session_id)
        known = record_builder.find_session(self._store, session_id)
        if known is None:
            reference = given.get("session_reference_id")
            _, original = record_builder.session_id_for(str(reference)) if reference else ("", {})
            told = {"event_name": project.name, "source": fields["source"]}
            made = record_builder.session(
                session_id, fields["start_time"], metadata=original or None, **told
            )
            return [made]
        if not known.get("event_name"):
            return [record_builder.patch(session_id, session_id, {"event_name": project.name})]
        return []

    def file(self, project: Project, event_id: str, session_id: str, at: int) -> None:
        """Note that a log is in a project, and its session with it."""
        self._keep(f"{LOG}:{project.id}", event_id, {}, at)
        self._keep(f"{SESSION}:{project.id}", session_id, {}, at)
        body = dict(self._note(SESSION, session_id) or {"projects": []})
        if project.id not in body["projects"]:
            body["projects"] = [*body["projects"], project.id]
        self._keep(SESSION, session_id, body, at)

    def referred(self, session_id: str, reference: str) -> None:
        """Note what the caller calls the session."""
        body = dict(self._note(SESSION, session_id) or {"projects": []})
        self._keep(SESSION, session_id, {**body, "reference_id": reference})

    # -- feedback ---------------------------------------------------------------------------

    def feedback(self, event_id: str, given: Any) -> Body:
        """Note the feedback of a log; what it changes in the record's own."""
        found: Body = {}
        listed = given if isinstance(given, list) else [given] if given else []
        for one in listed:
            if not isinstance(one, dict) or not isinstance(one.get("type"), str):
                raise RequestRejected(422, "body.type: field required")
            kind, value = one["type"], one.get("value")
            now = record_builder.now_ms()
            at = record_builder.moment(one.get("created_at"))
            # The same said again is the same feedback.
            name = f"ann_{logs.short_hash([event_id, kind, value, one.get('user')])}"
            body = {
                "id": name,
                "type": kind,
                "value": "" if value is None else value,
                "data_id": logs.prefixed("data_", event_id),
                "user": one.get("user"),
                "created_at": record_builder.iso(now if at is None else at),
            }
            body = {key: held for key, held in body.items() if held is not None}
            self._keep(f"{FEEDBACK}:{event_id}", name, None if one.get("unset") else body, now)
            found[kind] = None if one.get("unset") else body["value"]
            self.answers.append(body)
        return found
