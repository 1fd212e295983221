"""What exporter tests are made of: sessions as records, and each vendor's backend as a function.

    story = Story()
    records = story.session(children=3)
    delivery = deliver(HUMANLOOP, records)
    delivery.requests, delivery.rejected

``CASES`` has the cases of each vendor of the registry by its name: the contract suite runs over
them, and fails for a vendor that has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import orjson
from support.lane_harness import MemorySource

from sessiontrace.export.batch_delivery import BatchDelivery
from sessiontrace.export.protocol import Blocked, Exporter, Reply, Request, Retry
from sessiontrace.model.record import END, EVENT, START, UPDATE, Record, Records
from sessiontrace.spool.frame import Position
from sessiontrace.vendors.honeyhive.exporter import HoneyHiveExporter
from sessiontrace.vendors.humanloop.exporter_v4 import HumanloopExporter
from sessiontrace.vendors.humanloop.exporter_v5 import HumanloopFlowsExporter
from sessiontrace.vendors.otlp.exporter import OTLPExporter
from sessiontrace.vendors.posthog.exporter import PostHogExporter
from sessiontrace.vendors.shared.responses import NONE

T0 = 1_790_000_000_000

Body = dict[str, Any]


class Story:
    """Makes ids that say when they were made, and records in the order a spool would have them."""

    def __init__(self, at: int = T0) -> None:
        self.at = at
        self._made = 0

    def id(self) -> str:
        self._made += 1
        time = f"{self.at:012x}"
        return f"{time[:8]}-{time[8:]}-7000-8000-{self._made:012x}"

    def start(self, session_id: str | None = None, **fields: Any) -> Body:
        session_id = session_id or self.id()
        return {
            "event_id": session_id,
            "session_id": session_id,
            "event_type": "session",
            "event_name": "support chat",
            "source": "tests",
            "start_time": self.at,
            "inputs": {"question": "why?"},
            "metadata": {"service": "shop"},
            "user_properties": {"user_id": "ada"},
            **fields,
        }

    def end(self, start: Body, took: int = 1000, **fields: Any) -> Body:
        ended = {**start, "end_time": start["start_time"] + took, "duration": float(took)}
        return {**ended, "outputs": {"result": "because"}, **fields}

    def event(self, parent: Body, kind: str = "tool", took: int = 100, **fields: Any) -> Body:
        return {
            "event_id": self.id(),
            "session_id": parent["session_id"],
            "parent_id": parent["event_id"],
            "event_type": kind,
            "event_name": f"a {kind}",
            "source": "tests",
            "start_time": self.at,
            "end_time": self.at + took,
            "duration": float(took),
            "inputs": {"input": 1},
            "outputs": {"result": 2},
            **fields,
        }

    def model(self, parent: Body, **fields: Any) -> Body:
        call: Body = {
            "inputs": {"chat_history": [{"role": "user", "content": "why?"}]},
            "outputs": {"role": "assistant", "content": "because"},
            "config": {
                "model": "gpt-9",
                "provider": "openai",
                "hyperparameters": {"temperature": 0.5, "max_tokens": 64, "stop": ["\n"]},
            },
            "metadata": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
        }
        return self.event(parent, "model", **{**call, **fields})

    def update(self, about: Body, **fields: Any) -> Body:
        return {"event_id": about["event_id"], "session_id": about["session_id"], **fields}

    def session(self, children: int = 3, **fields: Any) -> list[Record]:
        """A session with a chain that holds ``children`` events, as a spool has it."""
        start = self.start(**fields)
        chain = self.event(start, "chain", inputs={"plan": 1})
        inner = [
            self.model(chain) if number % 2 else self.event(chain) for number in range(children)
        ]
        children_ids = [event["event_id"] for event in inner][:10_000]
        return [
            record(START, start),
            *(record(EVENT, event) for event in inner),
            record(EVENT, {**chain, "children_ids": children_ids}),
            record(END, self.end(start)),
        ]


def record(kind: bytes, body: Body) -> Record:
    """A body as a spool hands it out: ids first."""
    first = {name: body[name] for name in ("event_id", "session_id")}
    return Record(kind, b"*", orjson.dumps({**first, **body}))


@attrs.frozen
class VendorCase:
    """One form of a vendor's exporter under test, with its backend as functions.

    ``name``: of the case. ``make``: a fresh exporter. ``reply``: the backend's reply to a legal
    request. ``ids``: the ids that a request creates. ``needs``: the ids that must exist before it.
    ``refusal``: the status for wrong content. ``options``: arguments that make the vendor's
    destination use this form.
    """

    name: str
    make: Callable[[], Exporter]
    reply: Callable[[Request], Reply]
    ids: Callable[[Request], list[str]]
    needs: Callable[[Request], list[str]]
    refusal: int = 400
    options: Mapping[str, Any] = attrs.field(factory=dict, eq=False)


@attrs.define
class Delivery:
    """What became of records: the requests in the order sent, and the rejected with reasons."""

    requests: list[Request] = attrs.field(factory=list)
    taken: list[Request] = attrs.field(factory=list)
    rejected: list[tuple[Record, str]] = attrs.field(factory=list)
    acked: int = 0
    setback: Blocked | Retry | None = None

    @property
    def bodies(self) -> list[Any]:
        return [orjson.loads(request.body) for request in self.requests if request.method != NONE]


def deliver(
    vendor: VendorCase,
    records: Sequence[Record],
    *,
    exporter: Exporter | None = None,
    answer: Callable[[Request], Reply | None] = lambda request: None,
    replay: bool = False,
) -> Delivery:
    """Send records as one batch; ``answer`` may reply in the backend's place."""
    exporter = exporter or vendor.make()
    source = MemorySource(records, adopted=replay)
    ends = [Position(1, number + 1) for number in range(len(records))]
    batch_delivery = BatchDelivery(exporter, source, Records.of(records), ends)
    delivery = Delivery()
    for _ in batch_delivery.prepare():
        pass
    while delivery.setback is None:
        if (settled := batch_delivery.acknowledge()) is not None:
            delivery.acked += settled.acked
            delivery.rejected.extend(settled.rejected)
        if batch_delivery.finished:
            break
        if batch_delivery.stage.pending:
            request = batch_delivery.stage.pending.popleft()
            delivery.requests.append(request)
            reply = answer(request)
            if reply is None:
                reply = Reply(200) if request.method == NONE else vendor.reply(request)
                delivery.taken.append(request)
            delivery.setback = batch_delivery.apply(request, exporter.interpret(request, reply))
        else:
            delivery.setback = batch_delivery.advance()
    return delivery


def _json(status: int, body: Any) -> Reply:
    return Reply(status, {"content-type": "application/json"}, orjson.dumps(body))


# -- HoneyHive ------------------------------------------------------------------------------


def _honeyhive_reply(request: Request) -> Reply:
    body = orjson.loads(request.body)
    if request.path == "/v1/sessions":
        ids = dict.fromkeys(("event_id", "session_id"), body["session_id"])
        return _json(200, {**ids, "org_id": "o", "workspace_id": "w", "project_id": "p"})
    if request.path == "/v1/events/batch":
        entries = [entry["event_id"] for entry in body["events"]]
        return _json(200, {"event_ids": entries, "success": True})
    return Reply(200)


def _honeyhive_ids(request: Request) -> list[str]:
    body = orjson.loads(request.body)
    if request.path == "/v1/sessions":
        return [body["session_id"]]
    return [entry["event_id"] for entry in body.get("events", ())]


def _honeyhive_needs(request: Request) -> list[str]:
    body = orjson.loads(request.body)
    return [entry["session_id"] for entry in body.get("events", ())]


# -- Humanloop ------------------------------------------------------------------------------


def _humanloop_reply(request: Request) -> Reply:
    body = orjson.loads(request.body)
    if request.path == "/logs":
        entries = [{"id": f"data_{entry['reference_id']}", "project_id": "pr_1"} for entry in body]
        return _json(200, entries)
    if request.path == "/feedback":
        return _json(200, [{**entry, "id": "ann_1"} for entry in body])
    return _json(200, {})


def _humanloop_ids(request: Request) -> list[str]:
    if request.path != "/logs":
        return []
    return [entry["reference_id"] for entry in orjson.loads(request.body)]


def _humanloop_needs(request: Request) -> list[str]:
    if request.path != "/logs":
        return [request.path.partition("=")[2]] if request.method == "PATCH" else []
    logs = orjson.loads(request.body)
    return [entry["parent_reference_id"] for entry in logs if "parent_reference_id" in entry]


def _flows_reply(request: Request) -> Reply:
    kind = request.path.split("/")[1][:-1]
    log_id = orjson.loads(request.body).get("log_id", "")
    return _json(200, {"id": log_id, f"{kind}_id": f"{kind}_1", "version_id": "v_1"})


def _flows_ids(request: Request) -> list[str]:
    if request.method != "POST" or request.path == "/evaluators/log":
        return []
    return [orjson.loads(request.body)["log_id"]]


def _flows_needs(request: Request) -> list[str]:
    if request.method == "PATCH":
        return [request.path.rpartition("/")[2]]
    body = orjson.loads(request.body)
    parent = body.get("trace_parent_id", body.get("parent_id"))
    return [parent] if parent else []


# -- PostHog and OTLP -----------------------------------------------------------------------


def _posthog_ids(request: Request) -> list[str]:
    return [entry["uuid"] for entry in orjson.loads(request.body)["batch"]]


def spans(request: Request) -> Iterator[Body]:
    """The spans of an OTLP request in JSON."""
    for resource in orjson.loads(request.body)["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            yield from scope["spans"]


def _otlp_ids(request: Request) -> list[str]:
    return [entry["spanId"] for entry in spans(request)]


def _protobuf_ids(request: Request) -> list[str]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    parsed = ExportTraceServiceRequest.FromString(request.body)
    return [
        span.span_id.hex()
        for resource in parsed.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _nothing(request: Request) -> list[str]:
    return []


HONEYHIVE = VendorCase(
    "honeyhive", HoneyHiveExporter, _honeyhive_reply, _honeyhive_ids, _honeyhive_needs
)
HUMANLOOP = VendorCase(
    "humanloop", HumanloopExporter, _humanloop_reply, _humanloop_ids, _humanloop_needs, 422
)
FLOWS = VendorCase(
    "humanloop-v5",
    HumanloopFlowsExporter,
    _flows_reply,
    _flows_ids,
    _flows_needs,
    422,
    options={"version": 5},
)
POSTHOG = VendorCase(
    "posthog", PostHogExporter, lambda request: _json(200, {"status": "Ok"}), _posthog_ids, _nothing
)
OTLP = VendorCase("otlp", OTLPExporter, lambda request: _json(200, {}), _otlp_ids, _nothing)
PROTOBUF = VendorCase(
    "otlp-protobuf",
    lambda: OTLPExporter(protobuf=True),
    lambda request: Reply(200, {"content-type": "application/x-protobuf"}),
    _protobuf_ids,
    _nothing,
    options={"protobuf": True},
)

CASES: Mapping[str, tuple[VendorCase, ...]] = {
    "honeyhive": (HONEYHIVE,),
    "humanloop": (HUMANLOOP, FLOWS),
    "posthog": (POSTHOG,),
    "otlp": (OTLP, PROTOBUF),
}
"""The cases of each vendor by its name in the registry."""

_AS_OTLP = "OTLP's exporter; tests/unit/vendors/otlp_backends covers address, headers and names"
_OTLP_BACKENDS = (
    "langfuse", "phoenix", "langsmith", "braintrust", "opik", "logfire", "mlflow", "datadog",
    "honeycomb",
)  # fmt: skip
WITHOUT_CASE = {
    "local": "its requests carry no body; tests/unit/vendors/local covers it",
    **dict.fromkeys(_OTLP_BACKENDS, _AS_OTLP),
}

VENDORS = tuple(case for cases in CASES.values() for case in cases)


def own_id(vendor: VendorCase, event_id: str) -> str:
    """The id under which a vendor knows an event."""
    plain = event_id.replace("-", "")
    return plain[16:] if vendor in (OTLP, PROTOBUF) else event_id


def mentions(request: Request, words: str) -> bool:
    """Whether a request's body holds the words, however they are written."""
    return re.search(re.escape(words).encode(), request.body) is not None


def late(about: Body, **change: Any) -> Record:
    """An update of an event or session."""
    return record(UPDATE, {k: about[k] for k in ("event_id", "session_id")} | change)
