"""temporalio: a workflow is one session or step, and its activities are steps inside.

    what                                  its event
    ------------------------------------  --------------------------------------------------------
    a workflow started in a session       a step of that session
    a workflow started anywhere else      a session, whose id is that of the workflow's first run;
                                          a later run (retry, continue as new) is a turn of it
    a child workflow                      a step of the workflow around it
    an activity, each attempt             a step of the workflow, with what it does below
    an activity of a workflow that no     a turn of a session by the id of the workflow's run
    instrumented worker runs

An interceptor of every client, and so of its workers; a header of Temporal's carries the context.
Workflow code is replayed. So a workflow's event has the id of its run and the times of its history,
and is recorded where the code is not replayed: a repetition gives the same record again. Spans that
workflow code opens are not recorded.

Runs in the client's task, in the worker's task of an activity, and in the thread of a workflow's
sandbox. Invariant: a workflow does the same commands with us and without, beside that header.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from sessiontrace.capture.context.w3c import extract, inject
from sessiontrace.capture.handle import OPEN
from sessiontrace.capture.non_recording import RemoteSpan, SuppressedScope
from sessiontrace.capture.past_step import PastStep, offer_end, offer_event, offer_start
from sessiontrace.capture.tracer_state import TracerState
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher, require_one
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import without_none
from sessiontrace.instrumentation.web.request import SESSION_HEADER, Work, open_request, open_work
from sessiontrace.model.sampling import is_sampled

_HEADER = "_sessiontrace"
_OURS = "sessiontrace_interceptor"
_CAUSES_MAX = 5


class Temporal:
    """The instrumentor of temporalio."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Give clients and workers that are made from now on our interceptor."""
        require_one(module, "Client", "Worker", "SandboxedWorkflowRunner")
        runner: Any = vars(module).get("SandboxedWorkflowRunner")
        if runner is not None:
            self._patcher.patch(runner, "create_instance", _pass_through)
            return
        for name in ("Client", "Worker"):
            owner: Any = vars(module).get(name)
            if owner is not None:
                self._patcher.patch(owner, "__init__", lambda original: _with_ours(original, calls))

    def uninstall(self) -> None:
        """Leave the clients and workers that are made from now on as they are."""
        self._patcher.restore()


ENTRY = Entry(
    name="temporalio",
    target="temporalio.client",
    make=Temporal,
    also=("temporalio.worker", "temporalio.worker.workflow_sandbox"),
)


def _pass_through(original: Any) -> Any:
    """A sandbox would import sessiontrace anew for every workflow, whose module names it."""

    @functools.wraps(original)
    def create_instance(runner: Any, *args: Any, **kwargs: Any) -> Any:
        return original(_open_runner(runner) or runner, *args, **kwargs)

    return create_instance


@never_raises(None)
def _open_runner(runner: Any) -> Any:
    changed = copy.copy(runner)
    restrictions = runner.restrictions.with_passthrough_modules("sessiontrace")
    object.__setattr__(changed, "restrictions", restrictions)  # the class is frozen
    return changed


def _with_ours(original: Any, calls: CallRecorder) -> Any:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        _add_interceptor(calls, args[0] if args else kwargs.get("client"), kwargs)
        original(self, *args, **kwargs)

    return init


@never_raises(None)
def _add_interceptor(calls: CallRecorder, client: Any, options: dict[str, Any]) -> None:
    """``client``: of a worker, which has the interceptors of its client, too."""
    others = list(options.get("interceptors") or ())
    config = client.config() if hasattr(client, "config") else {}
    inherited = config.get("interceptors") or () if isinstance(config, Mapping) else ()
    if calls.enabled and not any(hasattr(entry, _OURS) for entry in (*others, *inherited)):
        options["interceptors"] = [_interceptor(calls), *others]


def _interceptor(calls: CallRecorder) -> Any:
    """One object that intercepts a client and the workers that use it."""
    import temporalio.client as client
    import temporalio.worker as worker

    def mixed(methods: type, base: Any) -> Any:
        return type(base.__name__, (methods, base), {"calls": calls})

    kind: Any = type(
        "SessionTrace",
        (_Interceptor, client.Interceptor, worker.Interceptor),
        {
            _OURS: True,
            "client_kind": mixed(_Client, client.OutboundInterceptor),
            "activity_kind": mixed(_Activity, worker.ActivityInboundInterceptor),
            "workflow_kind": mixed(_Workflow, worker.WorkflowInboundInterceptor),
        },
    )
    kind.workflow_kind.outbound_kind = mixed(_Outbound, worker.WorkflowOutboundInterceptor)
    return kind()


class _Interceptor:
    """What a client and a worker ask for; mixed with Temporal's classes."""

    client_kind: Any
    activity_kind: Any
    workflow_kind: Any

    def intercept_client(self, next: Any) -> Any:
        """The calls of a client."""
        return self.client_kind(next)

    def intercept_activity(self, next: Any) -> Any:
        """The activities of a worker."""
        return self.activity_kind(next)

    def workflow_interceptor_class(self, input: Any) -> Any:
        """The workflows of a worker."""
        return self.workflow_kind


class _Client:
    """A workflow or activity that a client starts gets the context of the current span."""

    calls: CallRecorder
    next: Any

    async def start_workflow(self, input: Any) -> Any:
        """Start a workflow."""
        self._add_header(input)
        return await self.next.start_workflow(input)

    async def start_activity(self, input: Any) -> Any:
        """Start an activity without a workflow."""
        self._add_header(input)
        return await self.next.start_activity(input)

    async def start_update_with_start_workflow(self, input: Any) -> Any:
        """Start a workflow with an update."""
        self._add_header(input.start_workflow_input)
        return await self.next.start_update_with_start_workflow(input)

    @never_raises(None)
    def _add_header(self, input: Any) -> None:
        recorder = self.calls.recorder()
        if recorder is not None:
            _add_carrier(input, inject(recorder.current.get(), {}))


class _Activity:
    """Each attempt of an activity is a step."""

    calls: CallRecorder
    next: Any

    async def execute_activity(self, input: Any) -> Any:
        """Run an activity."""
        work = self._open(input)
        if work is None:
            return await self.next.execute_activity(input)
        before = work.resume()
        try:
            result = await self.next.execute_activity(input)
        except BaseException as error:
            work.pause(before)
            _end_activity(work, error)
            raise
        work.pause(before)
        work.handle.set(outputs=result)
        work.end()
        return result

    @never_raises(None)
    def _open(self, input: Any) -> Work | None:
        if not self.calls.enabled:
            return None
        import temporalio.activity

        info = temporalio.activity.info()
        metadata = {
            "activity_id": info.activity_id,
            "attempt": info.attempt,
            "workflow_id": info.workflow_id,
            "run_id": info.workflow_run_id,
            "queue": info.task_queue,
        }
        headers = _carrier(input.headers)
        if not headers and info.workflow_run_id:
            headers = {SESSION_HEADER: info.workflow_run_id}
        # An activity comes from the program's own Temporal.
        return open_work(
            self.calls.tracer,
            lambda recorder: open_request(
                recorder,
                info.activity_type,
                {"args": list(input.args)},
                without_none(metadata),
                headers.items(),
                "all",
            ),
        )


@never_raises(None)
def _end_activity(work: Work, error: BaseException) -> None:
    category = getattr(getattr(error, "category", None), "name", None)
    if type(error).__name__ == "_CompleteAsyncError":
        work.handle.set(metadata={"completes_later": True})
        work.end()
    elif category == "BENIGN":
        work.handle.set(metadata={"control_flow": type(error).__name__})
        work.end()
    else:
        work.end(error)


class _Run(NamedTuple):
    """One run of a workflow. ``own``: its event, as the parent of what is inside.

    ``parent_id``: None where the run is a session or a turn. ``step``: makes its record, from its
    end and what is known then.
    """

    recorder: TracerState
    own: RemoteSpan
    parent_id: str | None
    metadata: dict[str, Any]
    start_ns: int
    step: Callable[..., PastStep]


class _Workflow:
    """The code of a workflow: it records nothing itself, and its event where it is not replayed."""

    calls: CallRecorder
    next: Any
    outbound_kind: Any

    run: _Run | None = None
    arrived: Mapping[str, Any] | None = None

    def init(self, outbound: Any) -> None:
        """What the workflow starts gets the context."""
        ours = self.outbound_kind(outbound)
        ours.inbound = self
        self.next.init(ours)

    async def execute_workflow(self, input: Any) -> Any:
        """Run the workflow's main function."""
        with _outside():
            self.arrived = input.headers
            self.run = self._open(input)
        with _silent(self.run):
            try:
                result = await self.next.execute_workflow(input)
            except BaseException as error:
                with _outside():
                    self._fail(error)
                raise
        with _outside():
            self._end(result if isinstance(result, dict) else {"result": result}, None, {})
        return result

    async def handle_signal(self, input: Any) -> None:
        """Run a handler of signals."""
        with _silent(self.run):
            await self.next.handle_signal(input)

    async def handle_query(self, input: Any) -> Any:
        """Run a handler of queries."""
        with _silent(self.run):
            return await self.next.handle_query(input)

    async def handle_update_handler(self, input: Any) -> Any:
        """Run a handler of updates."""
        with _silent(self.run):
            return await self.next.handle_update_handler(input)

    @never_raises(None)
    def _open(self, input: Any) -> _Run | None:
        import temporalio.workflow as workflow

        recorder = self.calls.recorder(in_default_session=False)
        if recorder is None:
            return None
        run = _run_of(recorder, workflow.info(), input)
        if run.own.skip_reason is not None:
            if not workflow.unsafe.is_replaying():
                recorder.drop(run.own.skip_reason)
        elif run.parent_id is None and not workflow.unsafe.is_replaying():
            started = run.step(end_ns=run.start_ns, groups={"metadata": run.metadata})
            offer_start(recorder, started)
        return run

    @never_raises(None)
    def _fail(self, error: BaseException) -> None:
        """An exception that ends the workflow; any other one makes Temporal run it again."""
        from temporalio.exceptions import FailureError, is_cancelled_exception
        from temporalio.workflow import ContinueAsNewError

        if isinstance(error, ContinueAsNewError):
            self._end(None, None, {"continued_as_new": True})
        elif is_cancelled_exception(error):
            self._end(None, None, {"cancelled": True})
        elif isinstance(error, FailureError):
            self._end(None, _error_text(error), {})

    @never_raises(None)
    def _end(self, outputs: Any, error: str | None, metadata: dict[str, Any]) -> None:
        import temporalio.workflow as workflow

        run = self.run
        # A workflow that is taken out of a worker's memory counts as replayed.
        if run is None or run.own.skip_reason is not None or workflow.unsafe.is_replaying():
            return
        end_ns = int(workflow.now().timestamp() * 1_000) * 1_000_000
        groups = {"metadata": {**run.metadata, **metadata}}
        step = run.step(end_ns=end_ns, outputs=outputs, error=error, groups=groups)
        if run.parent_id is None:
            offer_end(run.recorder, step)
        else:
            offer_event(run.recorder, step, run.own.frame_headers)


class _Outbound:
    """What a workflow starts is inside of it."""

    inbound: _Workflow
    next: Any

    def start_activity(self, input: Any) -> Any:
        """Start an activity."""
        self._add_header(input)
        return self.next.start_activity(input)

    def start_local_activity(self, input: Any) -> Any:
        """Start an activity in this worker."""
        self._add_header(input)
        return self.next.start_local_activity(input)

    async def start_child_workflow(self, input: Any) -> Any:
        """Start another workflow."""
        self._add_header(input)
        return await self.next.start_child_workflow(input)

    def continue_as_new(self, input: Any) -> Any:
        """Start the next run, which belongs where this one does."""
        arrived = self.inbound.arrived or {}
        if _HEADER in arrived:
            input.headers = {**input.headers, _HEADER: arrived[_HEADER]}
        self.next.continue_as_new(input)

    def _add_header(self, input: Any) -> None:
        with _outside():
            run = self.inbound.run
            if run is not None:
                _add_carrier(input, inject(run.own, {}))


def _run_of(recorder: TracerState, info: Any, input: Any) -> _Run:
    headers = _carrier(input.headers)
    caller = extract(recorder, headers, info.workflow_type, "all") if headers else None
    if isinstance(caller, RemoteSpan):
        session_id, parent_id = caller.session_id, caller.event_id
        sampled, to, trace_id = caller.skip_reason is None, caller.to, caller.trace_id
    else:
        session_id, parent_id = info.first_execution_run_id, None
        sampled, to, trace_id = is_sampled(session_id, recorder.sample), None, None
    own = RemoteSpan(recorder, session_id, info.run_id, sampled=sampled, to=to, trace_id=trace_id)
    own.state = OPEN
    metadata = {
        "workflow_id": info.workflow_id,
        "run_id": info.run_id,
        "attempt": info.attempt,
        "queue": info.task_queue,
        **({"service": recorder.service} if parent_id is None else {}),
    }
    start_ns = int(info.start_time.timestamp() * 1_000) * 1_000_000
    step = functools.partial(
        PastStep,
        event_id=info.run_id,
        session_id=session_id,
        parent_id=parent_id or session_id,
        type="chain",
        name=info.workflow_type,
        source=recorder.source,
        start_ns=start_ns,
        inputs={"args": list(input.args)},
    )
    return _Run(recorder, own, parent_id, metadata, start_ns, step)


@contextlib.contextmanager
def _outside() -> Iterator[None]:
    """What is done here is not part of the workflow, whose sandbox forbids it."""
    import temporalio.workflow as workflow

    with workflow.unsafe.sandbox_unrestricted(), workflow.unsafe.imports_passed_through():
        yield


@contextlib.contextmanager
def _silent(run: _Run | None) -> Iterator[None]:
    """Workflow code records nothing, because it is run more than once."""
    if run is None:
        yield
        return
    current = run.recorder.current
    before = current.get()
    with _outside():
        scope = SuppressedScope(run.recorder)
        scope.state = OPEN
    current.set(scope)
    try:
        yield
    finally:
        current.set(before)


def _carrier(headers: Mapping[str, Any]) -> dict[str, str]:
    payload = headers.get(_HEADER)
    if payload is None:
        return {}
    from temporalio.converter import PayloadConverter

    value = PayloadConverter.default.from_payloads([payload])[0]
    return value if isinstance(value, dict) else {}


@never_raises(None)
def _add_carrier(input: Any, carrier: dict[str, str]) -> None:
    if not carrier:
        return
    from temporalio.converter import PayloadConverter

    payload = PayloadConverter.default.to_payloads([carrier])[0]
    input.headers = {**input.headers, _HEADER: payload}


def _error_text(error: BaseException) -> str:
    """The failure of a workflow with its causes, which says what went wrong in an activity."""
    parts, cause = [], error
    for _ in range(_CAUSES_MAX):
        kind = getattr(cause, "type", None)
        name = kind if isinstance(kind, str) and kind else type(cause).__name__
        parts.append(f"{name}: {getattr(cause, 'message', None) or cause}")
        if cause.__cause__ is None:
            break
        cause = cause.__cause__
    return ": ".join(parts)
