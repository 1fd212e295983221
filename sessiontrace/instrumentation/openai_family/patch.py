"""The SDKs made by Stainless (openai, anthropic, groq): one choke point for all of them.

Every call of such an SDK, whatever its surface, goes through ``request`` of its base client, with
retries inside. We stand there, on the thread or task of the call. Invariant: the user gets the very
object the SDK made, and every exception as the SDK raised it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from sessiontrace.instrumentation.core.model_calls import (
    CallRecorder,
    ModelCall,
    open_call,
    restore,
)
from sessiontrace.instrumentation.core.response_fields import pick
from sessiontrace.instrumentation.openai_family.endpoints import PACKAGES, Route, provider_of
from sessiontrace.instrumentation.openai_family.http_response import SdkHttpResponse, describe

__all__ = ["Stainless"]


class Stainless:
    """The instrumentor of one package; ``target`` is its base client's module."""

    def __init__(self, package: str) -> None:
        self.name = package
        self.target = f"{package}._base_client"
        self._routes = PACKAGES[package]
        self._patched: list[tuple[type, str, Any]] = []
        self._calls: CallRecorder | None = None
        self._streams: tuple[type, ...] = ()
        self._provider: tuple[Any, Any, str] = (None, None, package)  # of the last client seen

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Stand in ``request`` of both base clients, and of subclasses that have their own."""
        self._calls = calls
        self._streams = (module.Stream, module.AsyncStream)
        for base, wrap in (
            (module.SyncAPIClient, self._wrap_sync),
            (module.AsyncAPIClient, self._wrap_async),
        ):
            for kind in (base, *_subclasses(base)):
                self._patch(kind, "request", wrap)
                self._patch(kind, "_process_response", _noting)

    def uninstall(self) -> None:
        """Put back what is still ours; what someone else wrapped meanwhile passes through."""
        self._calls = None
        for kind, name, ours in self._patched:
            held: Any = kind.__dict__.get(name)
            if held is ours:
                setattr(kind, name, held.__wrapped__)
        self._patched.clear()

    def _patch(self, kind: type, name: str, wrap: Callable[[Any], Any]) -> None:
        original = kind.__dict__.get(name)
        # A wrapper of someone else around ours shows our mark too, and calls us. One with the mark
        # of another instrumentor, which may have been uninstalled, does not.
        if original is None or getattr(original, "_sessiontrace", None) is self:
            return
        ours = wrap(original)
        ours._sessiontrace = self
        setattr(kind, name, ours)
        self._patched.append((kind, name, ours))

    def _wrap_sync(self, original: Any) -> Any:
        @functools.wraps(original)
        def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._open(client, args, kwargs)
            if call is None:
                return original(client, *args, **kwargs)
            exchange = call.subject
            token = open_call.set(call)
            try:
                result = original(client, *args, **kwargs)
            except BaseException as error:
                call.fail(error, metadata=_described(error))
                raise
            finally:
                restore(token)
            self._close(call, exchange, result)
            return result

        return request

    def _wrap_async(self, original: Any) -> Any:
        @functools.wraps(original)
        async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
            call = self._open(client, args, kwargs)
            if call is None:
                return await original(client, *args, **kwargs)
            exchange = call.subject
            token = open_call.set(call)
            try:
                result = await original(client, *args, **kwargs)
            except BaseException as error:
                call.fail(error, metadata=_described(error))
                raise
            finally:
                restore(token)
            self._close(call, exchange, result)
            return result

        return request

    def _open(self, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCall | None:
        """The call, opened; None when the request is not to be recorded, or is already."""
        try:
            options = args[1] if len(args) > 1 else kwargs["options"]
            route = self._routes.get(options.url)
            if route is None or (calls := self._calls) is None:
                return None
            recorder = calls.recorder()
            body = options.json_data
            if recorder is None or not isinstance(body, Mapping):
                return None
            outer = open_call.get()
            if outer is not None and getattr(outer.subject, "options", None) is options:
                return None  # seen by a subclass's own ``request`` before
            inputs, config = self._asked(client, route, options, body)
            name = f"{route.operation} {config['model']}"
            call = calls.model(name, inputs=inputs, config=config, recorder=recorder)
            if call is not None:
                call.subject = SdkHttpResponse(route, options)
            return call
        except Exception:
            return None

    def _asked(
        self, client: Any, route: Route, options: Any, body: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Inputs and config of a request."""
        inputs, hyperparameters = route.request(body)
        if options.extra_json:
            hyperparameters.update(options.extra_json)
        kind, host, provider = self._provider
        if type(client) is not kind or client._base_url is not host:  # asking the URL is not cheap
            provider = provider_of(client, self.name)
            self._provider = (type(client), client._base_url, provider)
        config: dict[str, Any] = {
            "type": route.operation,
            "model": body.get("model"),
            "provider": provider,
        }
        if hyperparameters:
            config["hyperparameters"] = hyperparameters
        for name in ("tools", "functions"):
            if name in body:
                config.update(pick(body, {name}))
        return inputs, config

    def _close(self, call: ModelCall, exchange: Any, result: Any) -> None:
        try:
            exchange.close(call, result, self._streams)
        except Exception as fault:  # an answer of a form nobody told us of
            call.end(metadata={"unread": type(fault).__name__})


def _subclasses(kind: type) -> list[type]:
    found: list[type] = []
    children: list[type] = kind.__subclasses__()
    for child in children:
        found += [child, *_subclasses(child)]
    return found


def _noting(original: Any) -> Any:
    """``_process_response`` sees the HTTP response of every form of call, and the retries."""

    @functools.wraps(original)
    def _process_response(client: Any, *args: Any, **kwargs: Any) -> Any:
        call = open_call.get()
        if call is not None and isinstance(call.subject, SdkHttpResponse):
            call.subject.note(kwargs.get("response"), kwargs.get("retries_taken"))
        return original(client, *args, **kwargs)

    return _process_response


def _described(error: BaseException) -> dict[str, Any]:
    try:
        return describe(error)
    except Exception:
        return {}
