"""Humanloop's own Python client (0.5 or 0.7: both speak v4); the server's URL is given.

Prints the session's id.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from humanloop import ApiException, Humanloop

hl = Humanloop(api_key="hl_anything", host=f"{sys.argv[1]}/v4")
modern = hasattr(hl.logs, "list")  # 0.7 answers with models, and can validate them
strict: dict[str, Any] = {"validate": True} if modern else {}


def of(answer: Any, name: str) -> Any:
    """A field of an answer, whichever client gave it."""
    body = getattr(answer, "body", answer)
    return body[name] if isinstance(body, dict) else getattr(body, name)


session_id = of(hl.sessions.create(**strict), "id")
assert session_id.startswith("sesh_"), session_id
name = f"official {session_id[-6:]}"
model = {"type": "model", "model": "gpt-x", "provider": "openai", "temperature": 0.5}
first = hl.log(
    project=name,
    session_id=session_id,
    reference_id=f"{session_id}-1",
    inputs={"question": "6 x 7"},
    config=model,
    messages=[{"role": "user", "content": "6 x 7"}],
    duration=0.25,
)
assert of(first, "session_id") == session_id
project_id = of(first, "project_id")
child = hl.log(
    project_id=project_id,
    session_id=session_id,
    parent_id=of(first, "id"),
    inputs={"expression": "6*7"},
    output="42",
    # 0.5 refuses every named tool: its own schema finds two kinds of config in it.
    config={"type": "tool", "name": "calculator"} if modern else {"type": "generic"},
    feedback={"type": "rating", "value": "good"},
)
hl.logs.update_by_ref(reference_id=f"{session_id}-1", output="forty-two", duration=1.5)
hl.logs.update(id=of(child, "id"), error="late")
said = hl.feedback(type="rating", value="good", data_id=of(first, "id"))
assert str(of(said, "id")).startswith("ann_")

shown = hl.sessions.get(id=session_id, **strict)
assert of(shown, "datapoints_count") == 2, of(shown, "datapoints_count")
assert of(shown, "first_inputs")["question"] == "6 x 7"
listed = hl.sessions.list(project_id=project_id, page=1, size=5, **strict)
assert of(listed, "total") == 1
assert of(of(listed, "records")[0], "id") == session_id
if modern:
    logs = hl.logs.list(project_id=project_id, **strict)
    outputs = {of(one, "output") for one in of(logs, "records")}
    assert outputs == {"forty-two", "42"}, outputs
    assert of(hl.logs.get(id=of(child, "id"), **strict), "error") == "late"
project = hl.projects.get(id=project_id)
assert (of(project, "name"), of(project, "data_count")) == (name, 2)
status = 200
try:
    hl.sessions.get(id="sesh_none")
except ApiException as error:
    status = int(error.status or 0)
assert status == 404, status


async def beside() -> None:
    made = await hl.sessions.acreate()
    assert of(made, "id").startswith("sesh_")
    await hl.alog(project=name, session_reference_id="chat-1", inputs={}, output="x",
                  config=model)  # fmt: skip


asyncio.run(beside())
print(session_id)
