"""rq: a job continues, in the worker, the session that enqueued it.

The wrappers run where a job is created and where the worker performs it. Invariant: a job only
gains an entry in its ``meta``, and a job enqueued outside any session is a session of its own.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.capture.context.w3c import inject
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.web.request import Work, open_request, open_work

_META = "sessiontrace"


class RQ:
    """The instrumentor of rq."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap how a job is saved for the first time, and how it is performed."""
        job = module.Job
        self._patcher.patch(job, "perform", lambda original: _perform(original, calls))
        self._patcher.patch(job, "save", lambda original: _save(original, calls))

    def uninstall(self) -> None:
        """Put the methods back."""
        self._patcher.restore()


ENTRY = Entry(name="rq", target="rq.job", make=RQ)


def _save(original: Any, calls: CallRecorder) -> Any:
    @functools.wraps(original)
    def save(job: Any, *args: Any, **kwargs: Any) -> Any:
        _add_headers(calls, job)
        return original(job, *args, **kwargs)

    return save


@never_raises(None)
def _add_headers(calls: CallRecorder, job: Any) -> None:
    recorder = calls.recorder() if calls.enabled else None
    if recorder is None or job.started_at is not None or _META in job.meta:
        return
    headers: dict[str, str] = inject(recorder.current.get(), {})
    if headers:
        job.meta[_META] = headers


def _perform(original: Any, calls: CallRecorder) -> Any:
    @functools.wraps(original)
    def perform(job: Any) -> Any:
        work = _open(calls, job)
        if work is None:
            return original(job)
        try:
            result = work.run(original, job)
        except BaseException as error:
            work.end(error)
            raise
        work.handle.set(outputs=result)
        work.end()
        return result

    return perform


@never_raises(None)
def _open(calls: CallRecorder, job: Any) -> Work | None:
    if not calls.enabled:
        return None
    inputs = {"args": list(job.args or ()), "kwargs": dict(job.kwargs or {})}
    metadata = {"job_id": job.id, "queue": job.origin}
    headers = job.meta.get(_META) or {}
    # A job comes from the program's own Redis.
    return open_work(
        calls.tracer,
        lambda recorder: open_request(
            recorder, str(job.func_name), inputs, metadata, headers.items(), "all"
        ),
    )
