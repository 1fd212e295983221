"""gRPC servers: one session (or span) around each call, until its last response.

    kind of method                          the session ends
    --------------------------------------  -------------------------------------------------------
    one response                            with the method
    streamed responses, plain or awaited    with the last one, or when the client has left
    ``context.write`` of grpc.aio           with the method

One interceptor for ``grpc.server`` and ``grpc.aio.server``. Runs in the thread or task of the call.
Invariant: a method keeps its kind, because grpc.aio asks for it; requests, responses and exceptions
pass through unchanged, and a thread that serves the next call carries nothing of the last one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.web.request import Work, open_request, open_work

if TYPE_CHECKING:
    from sessiontrace.capture.tracer_state import TracerProtocol

__all__ = ["grpc_interceptor"]

_MARK = "_sessiontrace_grpc"
# What OpenTelemetry's conventions count as a server's own failure.
_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


def grpc_interceptor(
    tracer: TracerProtocol, *, ignore: Iterable[str] = (), trust: str | None = None
) -> Any:
    """An interceptor for ``grpc.server`` and ``grpc.aio.server``.

    ``ignore``: methods without a session, such as ``/grpc.health.v1.Health/Check``. ``trust``: as
    of ``Asgi``. ImportError where grpcio is not installed.
    """
    import grpc
    import grpc.aio

    bases = (_Interceptor, grpc.ServerInterceptor, grpc.aio.ServerInterceptor)
    kind: Any = type("Interceptor", bases, {})
    return kind(tracer, frozenset(ignore), trust)


class GrpcServer:
    """The instrumentor of grpcio's servers."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Give the servers that the module makes from now on our interceptor."""

        def wrap(original: Any) -> Any:
            signature = inspect.signature(original)

            @functools.wraps(original)
            def server(*args: Any, **kwargs: Any) -> Any:
                bound = signature.bind(*args, **kwargs)
                if calls.enabled:
                    others = bound.arguments.get("interceptors") or ()
                    ours = grpc_interceptor(calls.tracer)
                    bound.arguments["interceptors"] = (ours, *others)
                return original(*bound.args, **bound.kwargs)

            return server

        self._patcher.patch(module, "server", wrap)

    def uninstall(self) -> None:
        """Leave the servers that are made from now on as they are."""
        self._patcher.restore()


ENTRY = Entry(
    name="grpc-server", target="grpc", make=GrpcServer, by_default=False, also=("grpc.aio",)
)


class _Interceptor:
    """What both kinds of servers call; mixed with their abstract classes."""

    def __init__(self, tracer: TracerProtocol, ignore: frozenset[str], trust: str | None) -> None:
        self._tracer = tracer
        self._ignore = ignore
        self._trust = trust

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The handler of a method, or what is awaited to get it."""
        handler, method = continuation(handler_call_details), handler_call_details.method
        if inspect.isawaitable(handler):
            return self._awaited(handler, method)
        return self._traced(handler, method)

    async def _awaited(self, handler: Awaitable[Any], method: str) -> Any:
        return self._traced(await handler, method)

    def _traced(self, handler: Any, method: str) -> Any:
        traced = None if method in self._ignore else self._wrapped(handler, method)
        return handler if traced is None else traced

    @never_raises(None)
    def _wrapped(self, handler: Any, method: str) -> Any:
        import grpc

        if handler is None:  # the server has no such method
            return None
        sides = [
            "stream" if is_stream else "unary"
            for is_stream in (handler.request_streaming, handler.response_streaming)
        ]
        kind = "_".join(sides)
        behavior = getattr(handler, kind)
        if hasattr(behavior, _MARK):
            return None
        wrapper = _wrap(behavior, functools.partial(self._open, method), sides[1] == "stream")
        setattr(wrapper, _MARK, True)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(wrapper, handler.request_deserializer, handler.response_serializer)

    @never_raises(None)
    def _open(self, method: str, context: Any) -> Work | None:
        name = method.lstrip("/")
        headers = [
            (key.lower(), value)
            for key, value in context.invocation_metadata() or ()
            if isinstance(value, str)
        ]
        metadata = {"client": context.peer()}
        return open_work(
            self._tracer,
            lambda recorder: open_request(
                recorder, name, {"method": method}, metadata, headers, self._trust
            ),
        )


def _wrap(behavior: Any, open_call: Any, is_stream: bool) -> Any:
    """The method of a servicer, of the same kind, inside a session."""
    if inspect.isasyncgenfunction(behavior):
        return _wrap_async_generator(behavior, open_call)
    if inspect.iscoroutinefunction(behavior):
        return _wrap_coroutine(behavior, open_call)

    def method(request: Any, context: Any) -> Any:
        work = open_call(context)
        if work is None:
            return behavior(request, context)
        try:
            response = work.run(behavior, request, context)
        except BaseException as error:
            _end(work, context, error)
            raise
        if is_stream:
            return _Responses(response, work, context)
        _end(work, context)
        return response

    return method


def _wrap_coroutine(behavior: Any, open_call: Any) -> Any:
    async def method(request: Any, context: Any) -> Any:
        work = open_call(context)
        if work is None:
            return await behavior(request, context)
        before = work.resume()
        try:
            response = await behavior(request, context)
        except BaseException as error:
            work.pause(before)
            _end(work, context, error)
            raise
        work.pause(before)
        _end(work, context)
        return response

    return method


def _wrap_async_generator(behavior: Any, open_call: Any) -> Any:
    async def method(request: Any, context: Any) -> AsyncIterator[Any]:
        work = open_call(context)
        responses = behavior(request, context)
        count = 0
        try:
            while True:
                before = None if work is None else work.resume()
                try:
                    response = await responses.__anext__()
                except StopAsyncIteration:
                    break
                finally:
                    if work is not None:
                        work.pause(before)
                count += 1
                yield response
        except BaseException as error:
            await responses.aclose()
            if work is not None:
                _end(work, context, error, count)
            raise
        if work is not None:
            _end(work, context, None, count)

    return method


class _Responses:
    """The streamed responses of a plain method: each is made inside the call's work."""

    def __init__(self, responses: Any, work: Work, context: Any) -> None:
        self._responses: Iterator[Any] | None = None
        self._source = responses
        self._work = work
        self._context = context
        self._count = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            if self._responses is None:
                self._responses = self._work.run(iter, self._source)
            response = self._work.run(next, self._responses)
        except StopIteration:
            _end(self._work, self._context, None, self._count)
            raise
        except BaseException as error:
            _end(self._work, self._context, error, self._count)
            raise
        self._count += 1
        return response

    @never_raises(None)
    def __del__(self) -> None:  # the client has left, and the server asks for no more
        close = getattr(self._responses, "close", None)
        if close is not None:
            self._work.run(close)
        _end(self._work, self._context, GeneratorExit(), self._count)


@never_raises(None)
def _end(
    work: Work, context: Any, error: BaseException | None = None, count: int | None = None
) -> None:
    """Record the status and end the session. ``count``: responses of a stream."""
    status, cause = "UNKNOWN", error
    try:
        status, cause = _status(context, error), error
        details = _text(context.details()) if hasattr(context, "details") else ""
        work.handle.set(outputs={"status": status}, metadata={"grpc_status": status})
        if count is not None:
            work.handle.set(metrics={"responses": count})
        if error is None or _is_abort(error):
            cause = None
            if status in _FAULTS:
                work.handle.set(error=f"{status}: {details}" if details else status)
        elif isinstance(error, GeneratorExit):
            cause = None
            work.handle.set(metadata={"cancelled": True})
    finally:
        work.end(cause)


def _status(context: Any, error: BaseException | None) -> str:
    code = context.code() if hasattr(context, "code") else None
    if isinstance(code, int) and not isinstance(code, bool):
        import grpc

        code = next((status for status in grpc.StatusCode if status.value[0] == code), None)
    name: str | None = getattr(code, "name", None)
    if error is None or _is_abort(error):
        return name or "OK"
    if isinstance(error, GeneratorExit) or type(error).__name__ == "CancelledError":
        return "CANCELLED"
    return "UNKNOWN" if name is None or name == "OK" else name


def _is_abort(error: BaseException) -> bool:
    """Whether ``context.abort`` raised it: then the status says what is wrong."""
    return type(error).__name__ == "AbortError" or (type(error) is Exception and not error.args)


def _text(details: Any) -> str:
    return details.decode(errors="replace") if isinstance(details, bytes) else str(details or "")
