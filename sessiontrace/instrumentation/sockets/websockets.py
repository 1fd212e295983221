"""websockets: the connections of the library to APIs that answer over websockets.

The openai and google-genai SDKs, openai-agents and programs without an SDK all use this library.
A connection is recognised by the path of its URL; the path of any other is looked at once, and its
messages never. Runs on the thread or task that sends or receives. Invariant: the user gets every
message and exception as the library gives it.
"""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.sockets.gemini_live import GeminiLive
from sessiontrace.instrumentation.sockets.openai_realtime import OpenAiRealtime
from sessiontrace.instrumentation.sockets.openai_responses import OpenAiResponses
from sessiontrace.instrumentation.sockets.socket_calls import SocketCalls

_KEY = "_sessiontrace_socket"


class WebSockets:
    """The instrumentor of websockets' client connections."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap the creation of connections."""
        self._calls = calls
        self._patcher.patch(module.ClientConnection, "__init__", self._wrap_connection)

    def uninstall(self) -> None:
        """Put the methods back; open connections are no longer observed."""
        self._calls = None
        self._patcher.restore()

    def _wrap_connection(self, original: Any) -> Any:
        @functools.wraps(original)
        def initialize(connection: Any, *args: Any, **kwargs: Any) -> None:
            original(connection, *args, **kwargs)
            self._watch(connection)

        return initialize

    @never_raises(None)
    def _watch(self, connection: Any) -> None:
        if self._calls is None:
            return
        protocol = connection.protocol
        uri = protocol.uri if hasattr(protocol, "uri") else protocol.wsuri  # before version 15
        api = _api_of(uri.path)
        if api is not None:
            connection.__dict__[_KEY] = api(self._calls, uri.host, uri.query)
            connection.__class__ = _observed_class(type(connection))
            connection.__dict__[_KEY].follow(connection)


ENTRY = Entry(
    name="websockets",
    target="websockets.asyncio.client",
    make=WebSockets,
    serves=("openai", "google-genai", "openai-agents"),
    also=("websockets.sync.client",),
)


def _api_of(path: str) -> type[SocketCalls] | None:
    """The API at a path; None for what is none."""
    if "BidiGenerateContent" in path:
        return GeminiLive
    last = path.rstrip("/").rpartition("/")[2]
    return {"realtime": OpenAiRealtime, "responses": OpenAiResponses}.get(last)


_observed_classes: dict[type, type] = {}


def _observed_class(base: Any) -> type:
    """``base`` with its messages observed."""
    existing = _observed_classes.get(base)
    if existing is not None:
        return existing
    is_async = inspect.iscoroutinefunction(base.send)
    methods = _async_methods(base) if is_async else _methods(base)
    body: dict[str, Any] = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
    }
    body.update(methods)
    observed = _observed_classes[base] = type(base.__name__, (base,), body)
    return observed


def _methods(base: Any) -> dict[str, Any]:
    @functools.wraps(base.send)
    def send(self: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        calls: SocketCalls = self.__dict__[_KEY]
        calls.sent(message)
        try:
            return base.send(self, message, *args, **kwargs)
        except Exception as error:
            calls.failed(error)
            raise

    @functools.wraps(base.recv)
    def recv(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls: SocketCalls = self.__dict__[_KEY]
        try:
            message = base.recv(self, *args, **kwargs)
        except Exception as error:
            calls.failed(error)
            raise
        calls.received(message)
        return message

    @functools.wraps(base.close)
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.__dict__[_KEY].close()
        return base.close(self, *args, **kwargs)

    return {"send": send, "recv": recv, "close": close}


def _async_methods(base: Any) -> dict[str, Any]:
    @functools.wraps(base.send)
    async def send(self: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        calls: SocketCalls = self.__dict__[_KEY]
        calls.sent(message)
        try:
            return await base.send(self, message, *args, **kwargs)
        except Exception as error:
            calls.failed(error)
            raise

    @functools.wraps(base.recv)
    async def recv(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls: SocketCalls = self.__dict__[_KEY]
        try:
            message = await base.recv(self, *args, **kwargs)
        except Exception as error:
            calls.failed(error)
            raise
        calls.received(message)
        return message

    @functools.wraps(base.close)
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.__dict__[_KEY].close()
        return await base.close(self, *args, **kwargs)

    return {"send": send, "recv": recv, "close": close}
