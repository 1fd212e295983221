"""arq: each job that a worker runs is a session.

The wrapper runs in the job's task. arq's messages have no place for headers, so a job does not join
the session that enqueued it. Invariant: functions keep their names, options and results.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.web.request import Work, open_request, open_work


class Arq:
    """The instrumentor of arq."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the functions of the workers that are made from now on."""

        def wrap(original: Any) -> Any:
            @functools.wraps(original)
            def init(worker: Any, *args: Any, **kwargs: Any) -> None:
                original(worker, *args, **kwargs)
                _wrap_functions(calls, worker)

            return init

        self._patcher.patch(module.Worker, "__init__", wrap)

    def uninstall(self) -> None:
        """Leave the workers that are made from now on as they are."""
        self._patcher.restore()


ENTRY = Entry(name="arq", target="arq.worker", make=Arq)


@never_raises(None)
def _wrap_functions(calls: CallRecorder, worker: Any) -> None:
    for function in worker.functions.values():
        function.coroutine = _traced(function.coroutine, function.name, calls)


def _traced(coroutine: Any, name: str, calls: CallRecorder) -> Any:
    @functools.wraps(coroutine)
    async def run(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        work = _open(calls, name, ctx, args, kwargs)
        if work is None:
            return await coroutine(ctx, *args, **kwargs)
        before = work.resume()
        try:
            result = await coroutine(ctx, *args, **kwargs)
        except BaseException as error:
            work.pause(before)
            work.end(error)
            raise
        work.pause(before)
        work.handle.set(outputs=result)
        work.end()
        return result

    return run


@never_raises(None)
def _open(calls: CallRecorder, name: str, ctx: Any, args: Any, kwargs: Any) -> Work | None:
    if not calls.enabled:
        return None
    facts = ctx if type(ctx) is dict else {}
    metadata = {key: facts[key] for key in ("job_id", "job_try") if key in facts}
    inputs = {"args": list(args), "kwargs": dict(kwargs)}
    return open_work(
        calls.tracer, lambda recorder: open_request(recorder, name, inputs, metadata, ())
    )
