"""Claude Agent SDK: agents, subagents, tools and model calls from what the command line sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.instrumented import ModelTracer, collected, instrumented  # noqa: F401
from support.own_environment import OWN_ENVIRONMENT
from support.stubs import claude_cli

pytest.importorskip("claude_agent_sdk", reason=f"claude_agent_sdk {OWN_ENVIRONMENT}")

from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    HookMatcher,
    SystemMessage,
    create_sdk_mcp_server,
    query,
    tool,
)

from sessiontrace.instrumentation.registry import Instruments

pytestmark = [
    pytest.mark.contract,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]

AGENT, TEXT = "Claude Agent", "Hello from the stub"
CALL = f"{AGENT}/chat claude-stub"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return claude_cli.install(tmp_path_factory.mktemp("claude"))


@pytest.fixture
def tracing() -> Iterator[ModelTracer]:
    with instrumented("claude-agent-sdk", "mcp-server") as tracer:
        yield tracer


def options_of(program: Path, **fields: Any) -> Any:
    return ClaudeAgentOptions(cli_path=str(program), system_prompt="be brief", **fields)


async def read(prompt: Any, options: Any) -> list[Any]:
    return [message async for message in query(prompt=prompt, options=options)]


def ask(tracing: ModelTracer, prompt: Any, options: Any) -> list[Any]:
    with tracing.session():
        return asyncio.run(read(prompt, options))


def cost_of(tracing: ModelTracer) -> float:
    """What the model events cost, those included whose cost came when they had ended."""
    bodies = [*tracing.models, *tracing.of("update")]
    return sum((body.get("metadata") or {}).get("cost", 0) for body in bodies)


def test_a_query(tracing: ModelTracer, program: Path) -> None:
    """The agent, its tool and two answers; the blocks of one answer are one call."""
    messages = ask(tracing, "Weather?", options_of(program))

    assert type(messages[-1]).__name__ == "ResultMessage"
    assert tracing.paths == [AGENT, CALL, CALL, f"{AGENT}/weather"]
    assert (tracing.tokens, tracing.failed) == (38, [])
    agent, used = tracing.event(AGENT), tracing.event("weather")
    assert agent["inputs"]["chat_history"][-1] == {"role": "user", "content": "Weather?"}
    assert agent["outputs"] == {"role": "assistant", "content": TEXT}
    assert agent["metadata"]["claude_session_id"] == claude_cli.SESSION
    assert agent["event_type"] == "agent"
    assert (used["event_type"], used["inputs"]) == ("tool", {"city": "Oslo"})
    assert used["outputs"] == {"result": "rain in Oslo"}
    assert used["metadata"]["tool_call_id"] == "toolu_1"
    first, second = tracing.models
    assert first["outputs"]["content"] == "Let me look."
    assert first["outputs"]["tool_calls"][0]["function"]["name"] == "weather"
    assert second["inputs"]["chat_history"][-1]["content"][0]["tool_use_id"] == "toolu_1"
    assert first["metadata"]["cache_read_tokens"] == 5
    assert cost_of(tracing) == pytest.approx(claude_cli.COST)


def test_no_tool_is_inferred_beside_its_event(program: Path) -> None:
    """Where tools are inferred, as below ``sessiontrace run``, each is one event all the same."""
    tracing = ModelTracer()
    instruments = Instruments(tracing)
    instruments.calls.infer_tools()
    instruments.add(("claude-agent-sdk",), ())
    ask(tracing, "Weather?", options_of(program))
    instruments.remove()

    assert tracing.paths == [AGENT, CALL, CALL, f"{AGENT}/weather"]


def test_parallel_tools_of_which_one_fails(tracing: ModelTracer, program: Path) -> None:
    """Each has its own result, in whichever order they arrive."""
    ask(tracing, "parallel", options_of(program))

    tools = {
        event["inputs"]["city"]: event
        for event in tracing.events
        if event["event_name"] == "weather"
    }
    assert tools["Oslo"]["outputs"] == {"result": "rain in Oslo"}
    assert tools["nowhere"]["error"] == "boom"
    assert tracing.failed == ["weather"]


def test_a_subagent(tracing: ModelTracer, program: Path) -> None:
    """It is inside of the tool that started it, with its own calls and tools."""
    ask(tracing, "subagent", options_of(program))

    inside = f"{AGENT}/Task/helper"
    call = f"{inside}/chat claude-stub"
    assert tracing.paths == sorted(
        [AGENT, CALL, CALL, f"{AGENT}/Task", inside, call, call, f"{inside}/weather"]
    )
    assert tracing.event("helper")["inputs"]["chat_history"][0]["content"] == "Look"
    assert tracing.event("helper")["outputs"] == {"result": "It rains"}
    assert (tracing.tokens, tracing.failed) == (4 * 19, [])
    assert cost_of(tracing) == pytest.approx(claude_cli.COST)


def test_a_server_in_this_process(tracing: ModelTracer, program: Path) -> None:
    """The tool is one event; the server's work, with the program's spans, is below it."""

    @tool("measure", "Measures", {"city": str})
    async def measure(args: dict[str, Any]) -> dict[str, Any]:
        with tracing.span("thermometer"):
            return {"content": [{"type": "text", "text": f"cold in {args['city']}"}]}

    servers = {"local": create_sdk_mcp_server("local", tools=[measure])}
    ask(tracing, "server", options_of(program, mcp_servers=servers))

    tools = [event for event in tracing.events if event["event_type"] == "tool"]
    assert [event["event_name"] for event in tools] == ["mcp__local__measure"]
    assert tools[0]["outputs"] == {"result": "cold in Oslo"}
    assert f"{AGENT}/mcp__local__measure/measure/thermometer" in tracing.paths
    assert tracing.failed == []


@pytest.mark.parametrize("by_client", [False, True], ids=["query", "client"])
def test_a_hook_of_the_program(tracing: ModelTracer, program: Path, by_client: bool) -> None:
    """It is asked as before, and what it records is below the tool."""

    async def check(data: Any, key: Any, context: Any) -> dict[str, Any]:
        with tracing.span("check"):
            return {}

    options = options_of(program, hooks={"PreToolUse": [HookMatcher(hooks=[check])]})

    async def talk() -> None:
        async with ClaudeSDKClient(options) as client:
            await client.query("hook")
            async for _ in client.receive_response():
                pass

    with tracing.session():
        asyncio.run(talk() if by_client else read("hook", options))

    assert f"{AGENT}/weather/check" in tracing.paths
    assert tracing.failed == []


@pytest.mark.parametrize("chosen", [None, f"00-{'a' * 32}-{'b' * 16}-01"], ids=["ours", "theirs"])
def test_the_command_line_gets_the_trace_context(
    tracing: ModelTracer, program: Path, chosen: str | None
) -> None:
    """That of the agent's event, unless the program has set one."""
    env = {} if chosen is None else {"TRACEPARENT": chosen}
    messages = ask(tracing, "plain", options_of(program, env=env))

    [start] = [message for message in messages if isinstance(message, SystemMessage)]
    span_id = tracing.event(AGENT)["event_id"][-17:].replace("-", "")
    assert start.data["traceparent"] == (chosen or start.data["traceparent"])
    assert (span_id in start.data["traceparent"]) is (chosen is None)


def test_a_streamed_answer_and_a_streamed_prompt(tracing: ModelTracer, program: Path) -> None:
    """The counts are those of the end of the stream; the prompt is in the call's history."""

    async def prompts() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "user", "message": {"role": "user", "content": "stream it"}}

    ask(tracing, prompts(), options_of(program, include_partial_messages=True))

    assert tracing.model["outputs"]["content"] == TEXT
    assert tracing.model["inputs"]["chat_history"][-1]["content"] == "stream it"
    assert (tracing.tokens, tracing.failed) == (19, [])


def test_an_error(tracing: ModelTracer, program: Path) -> None:
    """The agent has the error of the result; the answer before it has none."""
    with pytest.raises(Exception, match="no luck"):
        ask(tracing, "fail", options_of(program))

    assert tracing.failed == [AGENT]
    assert "no luck" in tracing.event(AGENT)["error"]


def test_a_reader_is_outside_and_may_stop(tracing: ModelTracer, program: Path) -> None:
    """What it does between two messages is its own; an agent that it leaves ends without error."""

    async def run() -> None:
        first, second = (query(prompt="Weather?", options=options_of(program)) for _ in range(2))
        running = [first, second]
        while running:
            for messages in list(running):
                try:
                    await messages.__anext__()
                except StopAsyncIteration:
                    running.remove(messages)
                with tracing.span("render"):
                    pass
        async for _ in query(prompt="wait", options=options_of(program)):
            break
        with tracing.span("after"):
            pass

    with tracing.session():
        asyncio.run(run())

    assert tracing.paths.count(f"{AGENT}/weather") == 2
    assert tracing.paths.count(CALL) >= 4
    outside = {path for path in tracing.paths if "render" in path or "after" in path}
    assert outside == {"render", "after"}
    assert tracing.failed == []


def test_a_client_with_two_turns(tracing: ModelTracer, program: Path) -> None:
    """Each prompt is a turn; the second call's history has the first turn."""

    async def talk() -> None:
        async with ClaudeSDKClient(options_of(program)) as client:
            for prompt in ("Weather?", "plain"):
                with tracing.span("question"):
                    await client.query(prompt)
                    async for _ in client.receive_response():
                        pass

    with tracing.session():
        asyncio.run(talk())

    agent = f"question/{AGENT}"
    call = f"question/{CALL}"
    assert tracing.paths == sorted(
        ["question", "question", agent, agent, call, call, call, f"{agent}/weather"]
    )
    history = tracing.models[-1]["inputs"]["chat_history"]
    assert [message["role"] for message in history] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert (tracing.tokens, tracing.failed) == (57, [])
    assert cost_of(tracing) == pytest.approx(2 * claude_cli.COST)


def test_a_client_that_disconnects_in_a_turn(tracing: ModelTracer, program: Path) -> None:
    """The turn ends, without an error."""

    async def leave() -> None:
        async with ClaudeSDKClient(options_of(program)) as client:
            await client.query("wait")
            async for message in client.receive_messages():
                if type(message).__name__ == "AssistantMessage":
                    break

    with tracing.session():
        asyncio.run(leave())

    assert tracing.paths == [AGENT, CALL]
    assert tracing.event(AGENT)["metadata"]["stream_end"] == "closed"
    assert tracing.failed == []


def test_two_users_at_once(tracing: ModelTracer, program: Path) -> None:
    """Each session has the one tree of its own user."""

    async def ask_as(user: str) -> None:
        async with tracing.session(user=user):
            await read("Weather?", options_of(program))

    async def all_of_them() -> None:
        await asyncio.gather(*(ask_as(f"user{number}") for number in range(3)))

    asyncio.run(all_of_them())

    by_session: dict[str, int] = {}
    for event in tracing.models:
        by_session[event["session_id"]] = by_session.get(event["session_id"], 0) + 1
    assert list(by_session.values()) == [2, 2, 2]


def test_uninstrument(program: Path) -> None:
    """Nothing is recorded afterwards, and queries go on."""
    with instrumented("claude-agent-sdk") as tracing:
        pass
    assert len(ask(tracing, "Weather?", options_of(program))) == 6

    assert tracing.events == []
