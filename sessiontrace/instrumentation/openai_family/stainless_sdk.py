"""The instrumentor of an SDK that Stainless generated; one subclass for each SDK.

Every call of such an SDK, whatever its surface, goes through ``request`` of its base client, with
the retries inside. The wrapper runs there, on the thread or task of the call. Invariant: the user
gets the very object the SDK made, and every exception as the SDK raised it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import orjson

from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder, ModelCall, open_call
from sessiontrace.instrumentation.core.model_methods import wrap_call
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.response_fields import value_in
from sessiontrace.instrumentation.openai_family.endpoints import HOSTS, Endpoint
from sessiontrace.instrumentation.openai_family.fetched_results import Fetch, fetch_of
from sessiontrace.instrumentation.openai_family.http_response import SdkHttpResponse, describe
from sessiontrace.instrumentation.openai_family.media_endpoints import describe_files
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["StainlessSdk"]


class StainlessSdk:
    """What the instrumentors of these SDKs share; install it into the ``_base_client`` module.

    ``provider``: who answers, where neither the client's class nor its host says otherwise.
    ``endpoints``: how to read a request, by the path it is sent to; other paths are left alone.
    ``client_providers``: the provider by the name of a client class that talks to another one, and
    so of its async form and of subclasses.
    ``fetches``: how the SDK fetches answers after the call.
    """

    provider: ClassVar[str]
    endpoints: ClassVar[Mapping[str, Endpoint]]
    client_providers: ClassVar[Mapping[str, str]] = {}
    fetches: ClassVar[tuple[Fetch, ...]] = ()

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None
        self._streams: tuple[type, ...] = ()
        # Provider and host of the last client, by its class and its URL object.
        self._last_place: tuple[Any, Any, tuple[str, str]] = (None, None, (self.provider, ""))

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap ``request`` of both base clients, and of subclasses that define their own."""
        self._calls = calls
        self._streams = (module.Stream, module.AsyncStream)
        for base, is_async in ((module.SyncAPIClient, False), (module.AsyncAPIClient, True)):
            # By the base class: the wrapper of another tracer around an async method may be plain.
            wrap = functools.partial(self._wrap, is_async=is_async)
            for client_class in (base, *_subclasses(base)):
                if "request" in client_class.__dict__:
                    self._patcher.patch(client_class, "request", wrap)
                if "_process_response" in client_class.__dict__:
                    self._patcher.patch(client_class, "_process_response", _note_response)

    def uninstall(self) -> None:
        """Put the methods back; a wrapper that another tracer has wrapped passes calls through."""
        self._calls = None
        self._patcher.restore()

    def _wrap(self, original: Any, *, is_async: bool) -> Any:
        return wrap_call(
            original,
            is_async=is_async,
            begin=self._begin,
            finish=self._finish,
            fail=_fail,
            other=self._observe_fetches(original, is_async=is_async) if self.fetches else None,
        )

    def _observe_fetches(self, original: Any, *, is_async: bool) -> Any:
        """``original`` for requests that reach no model, but may fetch what one has answered."""
        if is_async:

            async def async_request(*args: Any, **kwargs: Any) -> Any:
                result = await original(*args, **kwargs)
                self._record_fetched(args, kwargs, result)
                return result

            return async_request

        def request(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self._record_fetched(args, kwargs, result)
            return result

        return request

    @never_raises(None)
    def _record_fetched(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        options = args[2] if len(args) > 2 else kwargs["options"]
        calls = self._calls
        if calls is None or options.method.lower() != "get":
            return
        fetched = fetch_of(self.fetches, options.url)
        if fetched is not None:
            fetch, identifier = fetched
            fetch.record(calls, self._place_of(args[0])[0], identifier, result)

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCall | None:
        """The call, opened; None when the request is not to be recorded, or is already."""
        try:
            options = args[2] if len(args) > 2 else kwargs["options"]
            path = options.url
            endpoint = self.endpoints.get(path)
            if endpoint is None:  # the path may carry a query: ``/responses?beta=true``
                endpoint = self.endpoints.get(path.partition("?")[0])
            if endpoint is None or (calls := self._calls) is None:
                return None
            recorder = calls.recorder()
            body = options.json_data
            if recorder is None or not (type(body) is dict or isinstance(body, Mapping)):
                return None
            outer = open_call.get()
            if outer is not None and getattr(outer.subject, "options", None) is options:
                return None  # a subclass's own ``request`` has opened it
            client = args[0]
            client_class, url, place = self._last_place
            # Compared by identity, because to read the host of a URL takes microseconds.
            if type(client) is not client_class or client._base_url is not url:
                place = self._place_of(client)
            provider, host = place
            inputs, config = _read_request(provider, endpoint, options, body)
            name = f"{endpoint.operation} {config['model']}"
            call = calls.model(name, inputs=inputs, config=config, recorder=recorder)
            if call is not None:
                call.subject = SdkHttpResponse(endpoint, options, host)
            return call
        except Exception as fault:
            raise_if_from_signal(fault)
            return None

    def _place_of(self, client: Any) -> tuple[str, str]:
        """The provider that answers ``client``, by OpenTelemetry's name, and its host."""
        names = [base.__name__.removeprefix("Async") for base in type(client).__mro__]
        others = (self.client_providers[name] for name in names if name in self.client_providers)
        url = client._base_url
        place = (next(others, None) or HOSTS.get(url.host, self.provider), url.host)
        self._last_place = (type(client), url, place)
        return place

    def _finish(self, call: ModelCall, result: Any) -> Any:
        try:
            response: Any = call.subject
            response.close(call, result, self._streams)
        except Exception as fault:  # an answer in a form that the endpoint does not know
            call.end(metadata={"unread": type(fault).__name__})
            raise_if_from_signal(fault)
        return result


def _read_request(
    provider: str, endpoint: Endpoint, options: Any, body: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and config of a request."""
    inputs, hyperparameters = endpoint.request(body)
    if options.files:
        inputs["files"] = describe_files(options.files)
    if options.extra_json:
        hyperparameters.update(options.extra_json)
    config: dict[str, Any] = {
        "type": endpoint.operation,
        "model": body.get("model"),
        "provider": provider,
    }
    if hyperparameters:
        config["hyperparameters"] = hyperparameters
    for name in ("tools", "functions"):
        if (value := value_in(body, name)) is not None:
            config[name] = value
    return inputs, config


def _subclasses(base: type) -> list[type]:
    children: list[type] = base.__subclasses__()
    return [subclass for child in children for subclass in (child, *_subclasses(child))]


def _note_response(original: Any) -> Any:
    """``_process_response`` gets the HTTP response of every form of call, and the retry count.

    An answer that the SDK cannot parse, such as structured output that is cut, is recorded.
    """

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def async_method(client: Any, *args: Any, **kwargs: Any) -> Any:
            call = open_call.get()
            subject = None if call is None else call.subject
            if type(subject) is SdkHttpResponse:
                subject.note(kwargs.get("response"), kwargs.get("retries_taken"))
            try:
                return await original(client, *args, **kwargs)
            except Exception as error:
                _fail_unparsed(call, error, kwargs.get("response"))
                raise

        return async_method

    @functools.wraps(original)
    def _process_response(client: Any, *args: Any, **kwargs: Any) -> Any:
        call = open_call.get()
        subject = None if call is None else call.subject
        if type(subject) is SdkHttpResponse:
            subject.note(kwargs.get("response"), kwargs.get("retries_taken"))
        try:
            return original(client, *args, **kwargs)
        except Exception as error:
            _fail_unparsed(call, error, kwargs.get("response"))
            raise

    return _process_response


def _fail_unparsed(call: ModelCall | None, error: Exception, response: Any) -> None:
    """Fail the call with the answer that the SDK could not parse, where it is readable."""
    if call is None or not isinstance(subject := call.subject, SdkHttpResponse):
        return
    try:
        outputs, metadata = subject.endpoint.answer(orjson.loads(response.content))
        metadata = {**subject.metadata(None), **metadata}
    except Exception as fault:  # no answer in it: the error alone, later
        raise_if_from_signal(fault)
        return
    call.fail(error, outputs=outputs, metadata=metadata)


def _fail(call: ModelCall, error: BaseException) -> None:
    try:
        metadata = describe(error)
    except Exception as fault:
        raise_if_from_signal(fault)
        metadata = {}
    call.fail(error, metadata=metadata)
