"""Claude Agent SDK: its command line's messages become agents, tools and model calls.

The agent works in a program of its own, which the SDK starts. What it does arrives as messages;
they are read where they arrive, without a hook of the agent's, which would cost a round trip for
each tool. The program gets the trace context of the agent's event, and servers in this process that
of the tool. Runs in the tasks of the SDK. Invariant: options, messages and hooks of the program
stay as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterable, Callable
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from sessiontrace.capture.context.w3c import inject
from sessiontrace.instrumentation.claude_agent_runs.conversation import (
    Conversation,
    SeenTransport,
    connecting,
)
from sessiontrace.instrumentation.core.instrumentor import Entry
from sessiontrace.instrumentation.core.method_patching import MethodPatcher
from sessiontrace.instrumentation.core.model_calls import CallRecorder
from sessiontrace.instrumentation.core.never_raises import never_raises
from sessiontrace.instrumentation.core.placement import innermost
from sessiontrace.instrumentation.core.streamed_runs import async_steps


class ClaudeAgentSdk:
    """The instrumentor of claude-agent-sdk."""

    def __init__(self) -> None:
        self._patcher = MethodPatcher()
        self._calls: CallRecorder | None = None
        self._clients: WeakKeyDictionary[Any, Conversation] = WeakKeyDictionary()
        self._queries: WeakKeyDictionary[Any, Conversation] = WeakKeyDictionary()

    def install(self, module: ModuleType, calls: CallRecorder) -> None:
        """Wrap queries, clients, and where both meet the command line."""
        from claude_agent_sdk._internal.client import InternalClient
        from claude_agent_sdk._internal.query import Query
        from claude_agent_sdk._internal.transport.subprocess_cli import SubprocessCLITransport

        self._calls = calls
        patch = self._patcher.patch
        patch(InternalClient, "process_query", self._wrap_query)
        client = module.ClaudeSDKClient
        patch(client, "connect", self._wrap_connect)
        patch(client, "query", self._wrap_client_query)
        patch(client, "disconnect", self._wrap_disconnect)
        patch(Query, "start", self._wrap_start)
        patch(Query, "_handle_control_request", self._wrap_request)
        patch(Query, "_handle_sdk_mcp_request", self._wrap_server_request)
        patch(SubprocessCLITransport, "__init__", self._wrap_transport)

    def uninstall(self) -> None:
        """Put the methods back; connections that are open go on unrecorded."""
        self._calls = None
        self._patcher.restore()

    def _wrap_query(self, original: Any) -> Any:
        @functools.wraps(original)
        def process_query(client: Any, prompt: Any, options: Any, *args: Any, **fields: Any) -> Any:
            conversation = self._conversation(options, one_turn=True)
            if conversation is None:
                return original(client, prompt, options, *args, **fields)
            is_streamed = isinstance(prompt, AsyncIterable)
            sent = conversation.watched(prompt) if is_streamed else prompt
            make = functools.partial(original, client, sent, options, *args, **fields)
            return self._observed(make, conversation, None if is_streamed else prompt)

        return process_query

    async def _observed(
        self, make: Callable[[], Any], conversation: Conversation, prompt: Any
    ) -> Any:
        """The messages of a query, whose turn is current inside of it only."""
        span = conversation.begin(prompt)
        if span is None:
            async for message in make():
                yield message
            return
        messages, end = async_steps(make, span.recorder.current, span), object()
        try:
            with _connecting(conversation):
                message = await anext(messages, end)
            while message is not end:
                yield message
                message = await anext(messages, end)
        except GeneratorExit:
            await messages.aclose()
            conversation.end(closed=True)
            raise
        except BaseException as failure:
            conversation.end(failure)
            raise
        conversation.end()

    def _wrap_connect(self, original: Any) -> Any:
        @functools.wraps(original)
        async def connect(client: Any, prompt: Any = None) -> Any:
            conversation = self._conversation(client.options, one_turn=False)
            if conversation is None:
                return await original(client, prompt)
            self._clients[client] = conversation
            if prompt is not None:
                prompt = _begun(conversation, prompt)
            try:
                with _connecting(conversation):
                    return await original(client, prompt)
            except BaseException as failure:
                conversation.end(failure)
                raise

        return connect

    def _wrap_client_query(self, original: Any) -> Any:
        @functools.wraps(original)
        async def query(client: Any, prompt: Any, *args: Any, **options: Any) -> Any:
            conversation = self._clients.get(client)
            if conversation is None or self._calls is None:
                return await original(client, prompt, *args, **options)
            prompt = _begun(conversation, prompt)
            try:
                return await original(client, prompt, *args, **options)
            except BaseException as failure:
                conversation.end(failure)
                raise

        return query

    def _wrap_disconnect(self, original: Any) -> Any:
        @functools.wraps(original)
        async def disconnect(client: Any) -> Any:
            try:
                return await original(client)
            finally:
                conversation = self._clients.pop(client, None)
                if conversation is not None:
                    conversation.end(closed=True)

        return disconnect

    def _wrap_start(self, original: Any) -> Any:
        @functools.wraps(original)
        async def start(query: Any) -> Any:
            conversation = connecting.get()
            if conversation is not None:
                connecting.set(None)
                self._queries[query] = conversation
                query.transport = SeenTransport(query.transport, conversation)
            return await original(query)

        return start

    def _wrap_request(self, original: Any) -> Any:
        """Hooks and permissions of the program run below the tool, or the agent, that asks."""

        @functools.wraps(original)
        async def handle(query: Any, request: Any) -> Any:
            conversation = self._queries.get(query)
            place = None if conversation is None else conversation.place_of(request)
            if place is not None:
                place.recorder.current.set(place)  # each request has a task of its own
            return await original(query, request)

        return handle

    def _wrap_server_request(self, original: Any) -> Any:
        @functools.wraps(original)
        async def handle(query: Any, server_name: str, message: Any) -> Any:
            return await original(
                query, server_name, self._with_context(query, server_name, message)
            )

        return handle

    def _with_context(self, query: Any, server: str, message: Any) -> Any:
        """A request to a server in this process, with the trace context of the tool's event."""
        conversation = self._queries.get(query)
        tool = None if conversation is None else conversation.tool_of(server, message)
        if tool is None:
            return message
        params = message.get("params") or {}
        meta = inject(tool, dict(params.get("_meta") or {}), frozenset({"tracecontext"}))
        return {**message, "params": {**params, "_meta": meta}}

    def _wrap_transport(self, original: Any) -> Any:
        @functools.wraps(original)
        def __init__(transport: Any, *args: Any, **fields: Any) -> None:  # noqa: N807
            if "options" in fields:
                fields["options"] = self._with_environment(fields["options"])
            original(transport, *args, **fields)

        return __init__

    def _with_environment(self, options: Any) -> Any:
        """The options, with the trace context for the command line where the program sets none."""
        headers = self._trace_context()
        environment = {name.upper(): value for name, value in headers.items()}
        if not environment or "TRACEPARENT" in options.env:
            return options
        return dataclasses.replace(options, env={**environment, **options.env})

    @never_raises({})
    def _trace_context(self) -> dict[str, str]:
        recorder = None if self._calls is None else self._calls.recorder(in_default_session=False)
        span = None if recorder is None else innermost(recorder)
        if recorder is None or "tracecontext" not in recorder.propagators:
            return {}
        return inject(span, {}, frozenset({"tracecontext"}))

    @never_raises(None)
    def _conversation(self, options: Any, *, one_turn: bool) -> Conversation | None:
        calls = self._calls
        if calls is None or calls.recorder() is None:
            return None
        return Conversation(calls, options, one_turn=one_turn)


ENTRY = Entry(name="claude-agent-sdk", target="claude_agent_sdk", make=ClaudeAgentSdk)


@contextlib.contextmanager
def _connecting(conversation: Conversation) -> Any:
    before = connecting.get()
    connecting.set(conversation)
    try:
        yield
    finally:
        connecting.set(before)


def _begun(conversation: Conversation, prompt: Any) -> Any:
    """The prompt of a turn that begins; the messages of a streamed one are seen as they go."""
    if isinstance(prompt, AsyncIterable):
        conversation.begin(None)
        return conversation.watched(prompt)
    conversation.begin(prompt)
    return prompt
