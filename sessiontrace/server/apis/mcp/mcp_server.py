"""The tools as a server of the official package ``mcp``, for stdio and for HTTP.

Runs on the loop of its transport; a tool's question runs on the reading threads. Invariant: this
module is imported only where the protocol is spoken, because ``mcp`` takes a second to load. An
error of the store or of the caller is a result that says what to do; any other error is logged, and
the agent learns only that there was one.
"""

from __future__ import annotations

from typing import Any

import jsonschema
from mcp import types
from mcp.server.lowlevel import Server

from sessiontrace.model.errors import SessionTraceError
from sessiontrace.runtime.log import logger
from sessiontrace.server.apis.mcp.tools import INSTRUCTIONS, TOOLS, answer
from sessiontrace.server.security.request_context import PROJECT
from sessiontrace.server.store_readers import StoreReaders
from sessiontrace.text.format import printable
from sessiontrace.views.agent.recorded import fault_text
from sessiontrace.views.session_lookup import LookupFailedError

__all__ = ["PROJECT_KEY", "make_server"]

PROJECT_KEY = "sessiontrace.project"
"""The key in an ASGI scope that holds the project of a request."""

_FAULT_WIDTH = 1_000


def make_server(readers: StoreReaders, version: str, project: str | None = None) -> Server[Any]:
    """A server over the stores of ``readers``.

    ``project``: what to read; None over HTTP, where each request brings its project in its scope.
    """
    schemas = {tool.name: jsonschema.Draft202012Validator(tool.schema) for tool in TOOLS}

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in TOOLS])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        if params.name not in schemas:
            names = ", ".join(schemas)
            return _failure(f"there is no tool {params.name!r}; tools are {names}")
        fault = jsonschema.exceptions.best_match(schemas[params.name].iter_errors(arguments))
        if fault is not None:
            place = ".".join(map(str, fault.path))
            return _failure(f"{place}: {fault.message}" if place else fault.message)
        PROJECT.set(context.request.scope[PROJECT_KEY] if project is None else project)
        try:
            text = await readers.query(lambda store: answer(store, params.name, arguments))
        except LookupFailedError as error:
            return _failure(fault_text(error.reason, error.choices))
        except SessionTraceError as error:
            return _failure(str(error))
        except Exception:
            logger().exception("the tool %s failed", params.name)
            return _failure("internal error; see the log of sessiontrace")
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    return Server(
        "sessiontrace",
        version=version,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _described(tool: Any) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.summary,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(
            title=tool.title, read_only_hint=True, destructive_hint=False, open_world_hint=False
        ),
    )


def _failure(reason: str) -> types.CallToolResult:
    lines = [printable(line, _FAULT_WIDTH) for line in reason.split("\n")[:30]]
    return types.CallToolResult(
        content=[types.TextContent(type="text", text="\n".join(lines))], is_error=True
    )
