"""HoneyHive's own Python client, as its documentation uses it; the server's URL is given.

Prints the session's id.
"""

from __future__ import annotations

import sys

from honeyhive import HoneyHive, HoneyHiveTracer, enrich_span, models, trace

url = sys.argv[1]
tracer = HoneyHiveTracer.init(
    api_key="hh_anything",
    server_url=url,
    session_name="official",
    source="clients",
    inputs={"question": "6 x 7"},
)


@trace(tracer=tracer, event_type="tool", event_name="look_up")
def look_up(word: str) -> dict[str, list[str]]:
    enrich_span(metadata={"looked": word})
    return {"found": [word, word]}


@trace(tracer=tracer, event_type="model", event_name="think")
def think(question: str) -> str:
    return look_up(question)["found"][0]


@trace(tracer=tracer, event_type="chain", event_name="answer")
def answer(question: str) -> str:
    return think(question)


answer("why")
tracer.enrich_session(
    metadata={"late": 1},
    feedback={"rating": 5},
    metrics={"score": 0.5},
    outputs={"answer": "42"},
    user_properties={"user_id": "ada"},
)
assert tracer.force_flush() is True
made = tracer.create_event(
    "manual", event_type="tool", inputs={"a": 1}, outputs={"b": 2}, metadata={"m": 1}
)
assert made, "create_event"

client = HoneyHive(api_key="hh_anything", base_url=url)
session_id = tracer.session_id
found = client.events.export(
    filters=[{"field": "session_id", "operator": "is", "value": session_id, "type": "string"}],
    limit=100,
)
names = sorted(str(one.event_name if hasattr(one, "event_name") else one["event_name"])
               for one in found.events)  # fmt: skip
assert {"answer", "think", "look_up", "manual", "official"} <= set(names), names

batch = models.PostEventBatchRequest(
    events=[{"event_type": "tool", "inputs": {"n": n}} for n in range(3)],
    single_session=True,
)
assert len(client.events.create_batch(batch).event_ids) == 3
one = client.events.create(models.PostEventRequest(event={"event_type": "tool", "inputs": {}}))
client.events.update_event({"event_id": one.event_id, "feedback": {"rating": 1}})
started = client.sessions.start({"session_name": "by hand", "session_id": session_id})
assert started.session_id == session_id, "idempotent"

tracer.shutdown()
print(session_id)
