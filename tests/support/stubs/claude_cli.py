"""A stand-in for Claude's command line, as the SDK starts it: it speaks stream-json, and no model.

The prompt's first word says what happens: "weather" uses a tool, "parallel" two of which one fails,
"hook" asks the program's hook before a tool, "subagent" hands a task to a subagent, "server" calls
a tool of a server in the SDK's process, "stream" streams its answer, "fail" ends with an error,
"wait" stops after its first message.
Source: ``claude_agent_sdk._internal`` of 0.2.189, ``message_parser`` and ``query``.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["USAGE", "install"]

USAGE = {
    "input_tokens": 7,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 0,
    "output_tokens": 7,
}
"""The counts of one answer: 19 tokens."""

COST = 0.25
"""The cost of one prompt, in dollars."""

SESSION = "stub-session"


def install(folder: Path) -> Path:
    """Write the program into ``folder``; returns its path, which is an option of the SDK's."""
    program = folder / "claude"
    program.write_text(f"#!{sys.executable}\n" + Path(__file__).read_text())
    program.chmod(0o755)
    return program


class CommandLine:
    """The program: it answers what comes in on its standard input."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._cost = 0.0

    def run(self) -> int:
        """Answer until the input ends."""
        while (data := self._read()) is not None:
            if data["type"] == "control_request":
                self._control(data["request_id"], {"commands": []})
            elif data["type"] == "user":
                content = data["message"]["content"]
                text = content if isinstance(content, str) else content[0]["text"]
                if not self._answer(text.split()[0].lower().strip("?")):
                    return 1
        return 0

    def _read(self) -> Any:
        line = sys.stdin.readline()
        return json.loads(line) if line else None

    def _send(self, **data: Any) -> None:
        message = {"session_id": SESSION, "uuid": f"u{next(self._numbers)}", **data}
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def _control(self, request_id: str, response: Any) -> None:
        body = {"subtype": "success", "request_id": request_id, "response": response}
        self._send(type="control_response", response=body)

    def _answer(self, word: str) -> bool:
        names = ("TRACEPARENT", "TRACESTATE")
        context = {name.lower(): os.environ.get(name) for name in names}
        self._send(type="system", subtype="init", model="claude-stub", tools=[], **context)
        answers = 0
        for step in getattr(self, f"_{word}", self._plain)():
            answers += step
        if word == "wait":
            self._read()
            return True
        self._cost += COST
        failed = word == "fail"
        self._send(
            type="result",
            subtype="error_during_execution" if failed else "success",
            duration_ms=5,
            duration_api_ms=4,
            is_error=failed,
            num_turns=max(answers, 1),
            total_cost_usd=self._cost,
            usage={name: count * answers for name, count in USAGE.items()},
            result=None if failed else "Hello from the stub",
            errors=["no luck"] if failed else None,
        )
        return not failed

    # -- what happens, answer by answer -----------------------------------------------------

    def _plain(self) -> Iterator[int]:
        yield self._say(text("Hello from the stub"))

    _wait = _fail = _plain

    def _weather(self) -> Iterator[int]:
        name = f"msg_{next(self._numbers)}"
        # Each block is a message of its own; only the last one has the counts that are right.
        self._say(text("Let me look."), name=name, usage={**USAGE, "output_tokens": 1})
        yield self._say(use("weather", "toolu_1", city="Oslo"), name=name)
        self._give("toolu_1", "rain in Oslo")
        yield self._say(text("Hello from the stub"))

    def _parallel(self) -> Iterator[int]:
        blocks = [use("weather", f"toolu_{city}", city=city) for city in ("Oslo", "nowhere")]
        yield self._say(*blocks)
        self._give("toolu_nowhere", "boom", is_error=True)
        self._give("toolu_Oslo", [text("rain in Oslo")])
        yield self._say(text("Hello from the stub"))

    def _hook(self) -> Iterator[int]:
        yield self._say(use("weather", "toolu_1", city="Oslo"))
        fields = {"hook_event_name": "PreToolUse", "tool_name": "weather", "tool_input": {}}
        body = {"subtype": "hook_callback", "callback_id": "hook_0", "tool_use_id": "toolu_1"}
        self._ask({**body, "input": fields})
        self._give("toolu_1", "rain in Oslo")
        yield self._say(text("Hello from the stub"))

    def _subagent(self) -> Iterator[int]:
        task = use("Task", "toolu_t", subagent_type="helper", prompt="Look", description="look")
        yield self._say(task)
        self._send(
            type="user", message={"role": "user", "content": "Look"}, parent_tool_use_id="toolu_t"
        )
        yield self._say(use("weather", "toolu_w", city="Rome"), parent="toolu_t")
        self._give("toolu_w", "rain in Rome", parent="toolu_t")
        yield self._say(text("It rains"), parent="toolu_t")
        self._give("toolu_t", [text("It rains")])
        yield self._say(text("Hello from the stub"))

    def _server(self) -> Iterator[int]:
        yield self._say(use("mcp__local__measure", "toolu_m", city="Oslo"))
        start = {"protocolVersion": "2025-06-18", "capabilities": {}}
        client = {"clientInfo": {"name": "stub", "version": "1"}}
        self._request({"id": 1, "method": "initialize", "params": {**start, **client}})
        self._request({"method": "notifications/initialized"})
        params = {"name": "measure", "arguments": {"city": "Oslo"}}
        answer = self._request({"id": 2, "method": "tools/call", "params": params})
        content = answer["response"]["mcp_response"]["result"]["content"]
        self._give("toolu_m", content)
        yield self._say(text("Hello from the stub"))

    def _request(self, message: dict[str, Any]) -> Any:
        body = {"jsonrpc": "2.0", **message}
        return self._ask({"subtype": "mcp_message", "server_name": "local", "message": body})

    def _ask(self, request: dict[str, Any]) -> Any:
        self._send(type="control_request", request_id=f"r{next(self._numbers)}", request=request)
        while (data := self._read())["type"] != "control_response":
            pass
        return data["response"]

    def _stream(self) -> Iterator[int]:
        name = f"msg_{next(self._numbers)}"
        message = {"id": name, "role": "assistant", "model": "claude-stub", "content": []}
        usage = {**USAGE, "output_tokens": 1}
        for event in (
            {"type": "message_start", "message": {**message, "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": text("")},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}},
        ):
            self._send(type="stream_event", event=event, parent_tool_use_id=None)
        self._say(text("Hello from the stub"), name=name, usage=usage)
        delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE}
        self._send(type="stream_event", event=delta, parent_tool_use_id=None)
        yield 1

    def _say(
        self, *content: Any, name: str | None = None, parent: str | None = None, usage: Any = USAGE
    ) -> int:
        message = {
            "id": name or f"msg_{next(self._numbers)}",
            "type": "message",
            "role": "assistant",
            "model": "claude-stub",
            "content": list(content),
            "stop_reason": None,
            "usage": usage,
        }
        self._send(type="assistant", message=message, parent_tool_use_id=parent)
        return 1

    def _give(
        self, key: str, content: Any, *, is_error: bool = False, parent: str | None = None
    ) -> None:
        block = {"type": "tool_result", "tool_use_id": key, "content": content}
        blocks = [{**block, "is_error": True} if is_error else block]
        message = {"role": "user", "content": blocks}
        self._send(type="user", message=message, parent_tool_use_id=parent)


def text(value: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": value}


def use(name: str, key: str, **arguments: Any) -> dict[str, Any]:
    """A block that uses a tool."""
    return {"type": "tool_use", "id": key, "name": name, "input": arguments}


if __name__ == "__main__":
    if set(sys.argv) & {"-v", "--version"}:
        print("99.0.0 (Claude Code)")
        sys.exit(0)
    sys.exit(CommandLine().run())
