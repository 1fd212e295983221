"""What each producer of spans must look like at the server, and how its program runs.

Each program in ``tests/producers`` lets an agent "forecaster" answer "What is the weather in Oslo?"
with the tool "weather", in session "chat-7" of user "ada" where the producer knows sessions and
users. ``tools/producers.py`` runs the programs; the contract tests replay what they sent.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import attrs
from support.server_process import Served

from sessiontrace.model.step_types import CALL_TYPES

__all__ = [
    "ANSWER",
    "PRODUCERS",
    "PROGRAMS",
    "QUESTION",
    "RECORDED",
    "SESSION",
    "Producer",
    "Session",
    "check",
    "sessions_of",
]

PROGRAMS = Path(__file__).resolve().parent.parent / "producers"
RECORDED = PROGRAMS / "recorded"
SESSION = "chat-7"
QUESTION = "What is the weather in Oslo?"
ANSWER = "Hello from the stub"

_RAW = re.compile(
    r"langfuse\.(observation\.(type|input|output|model|usage)|trace\.(tags|metadata|name))"
    r"|langfuse\.(session|user)|mlflow\.(span(Inputs|Outputs|Type)|chat|llm|trace\.)"
    r"|langsmith\.(span|metadata)|traceloop\.(entity\.(input|output)|association)"
    r"|ai\.(prompt|toolCall|model|operationId|telemetry|response\.(text|toolCalls|object|id|model))"
    r"|ai\.usage\.(input|output|total|prompt|completion)Tokens"
    r"|llm\.(input_messages|output_messages|tools|token_count|invocation|model_name|request\.func)"
    r"|gen_ai\.(input|output|prompt|completion|request|usage\.(input|output)_tokens|tool\.(def|call))"
    r"|haystack\.(component|agent|pipeline)\.(input|output)(_data)?$|pydantic_ai\.all_messages"
    r"|(input|output)\.(value|mime_type)|(session|user)\.id|request_data|logfire\.(msg|json_schema)"
)
"""Attributes that have a field of an event, so that none of them may be left in the metadata."""


@attrs.frozen
class Producer:
    """A producer's program and what is expected of it.

    ``program``: its file in ``tests/producers``. ``title``: its heading in the documentation.
    ``root``: the name of the event at the top. ``trace``: the name of the session, where it has
    another. ``many``: it makes a trace of its own for each message, and ``sessions`` of them.
    ``tool``: the name of the tool's event. ``session``, ``user``, ``chat``, ``tags``: whether the
    producer says these at all. ``models``: how many calls of a model it reports. ``counts``: tokens
    of a call, in and out.
    """

    program: str
    title: str
    root: str
    session: bool = True
    user: bool = True
    tool: str | None = "weather"
    chat: bool = True
    tags: bool = False
    models: int = 2
    trace: str | None = None
    many: bool = False
    sessions: int = 1
    counts: tuple[int, int] = (12, 7)

    @property
    def name(self) -> str:
        """The name of its recording."""
        return self.program.partition(".")[0]


PRODUCERS = (
    Producer("openinference_openai.py", "OpenInference: OpenAI", "forecaster", models=5),
    Producer("openinference_langgraph.py", "OpenInference: LangChain, LangGraph", "forecaster"),
    Producer("openinference_agents.py", "OpenInference: OpenAI Agents", "Agent workflow"),
    Producer("openinference_agno.py", "OpenInference: Agno", "forecaster"),
    Producer(
        "openinference_llama_index.py", "OpenInference: LlamaIndex", "FunctionAgent.run", tags=True
    ),
    Producer("openinference_js.mjs", "OpenInference for JavaScript", "forecaster", tool=None),
    Producer(
        "openinference_langchain_js.mjs", "OpenInference for JavaScript: LangChain", "forecaster"
    ),
    Producer(
        "smolagents_agent.py", "OpenInference: smolagents", "forecaster.run",
        session=False, user=False, chat=False, models=3,
    ),
    Producer(
        "crewai_crew.py", "OpenInference: CrewAI", "forecast.kickoff",
        session=False, user=False, models=0,
    ),
    Producer("traceloop_python.py", "Traceloop (OpenLLMetry)", "forecaster"),
    Producer("traceloop_langgraph.py", "Traceloop: LangChain, LangGraph", "forecaster"),
    Producer(
        "openllmetry_llama_index.py", "OpenLLMetry: LlamaIndex", "FunctionAgent.workflow",
        session=False, user=False, chat=False,
    ),
    Producer("traceloop_js.mjs", "Traceloop for JavaScript", "forecaster"),
    Producer("langfuse_python.py", "Langfuse", "forecaster", trace="forecast", tags=True),
    Producer(
        "langfuse_js.mjs", "Langfuse for JavaScript", "forecaster", trace="forecast", tags=True
    ),
    Producer(
        "langfuse_langchain.py", "Langfuse: LangChain, LangGraph", "forecaster", tags=True
    ),
    Producer(
        "langfuse_ingestion.py", "Langfuse, SDK 2 and REST", "forecaster", trace="forecaster",
        tool=None,
    ),
    Producer("vercel_ai.mjs", "Vercel AI SDK", "forecast", tags=True, models=4),
    Producer("vercel_ai_7.mjs", "Vercel AI SDK 7", "forecaster", session=False, user=False),
    Producer("mastra_agent.mjs", "Mastra", "forecaster", chat=False),
    Producer("voltagent_agent.mjs", "VoltAgent", "forecaster", chat=False, models=1),
    Producer("genkit_flow.mjs", "Genkit", "forecaster", session=False, user=False),
    Producer("mlflow_tracing.py", "MLflow", "forecaster", session=False, user=False),
    Producer("langsmith_python.py", "LangSmith", "forecaster", tags=True),
    Producer("langsmith_langgraph.py", "LangSmith: LangChain, LangGraph", "forecaster"),
    Producer("openlit_openai.py", "OpenLIT", "forecaster", session=False, tool=None),
    Producer("pydantic_ai_agent.py", "Pydantic AI, Logfire", "forecast for Oslo"),
    Producer(
        "logfire_agents.py", "Logfire: OpenAI Agents", "forecaster", session=False, user=False,
        trace="OpenAI Agents trace: Agent workflow",
    ),
    Producer("logfire_openai.py", "Logfire: OpenAI", "forecast for Oslo", tool=None, models=4),
    Producer(
        "logfire_anthropic.py", "Logfire: Anthropic", "forecast for Oslo", tool=None, chat=False,
        models=3, counts=(17, 7),
    ),
    Producer("strands_agent.py", "Strands", "forecaster", tags=True),
    Producer("strands_latest.py", "Strands, newest conventions", "forecaster", tags=True),
    Producer("google_adk.py", "Google ADK", "forecaster", user=False),
    Producer("litellm_otel.py", "LiteLLM", "chat ok", session=False, tool=None, models=1),
    Producer("haystack_tracer.py", "Haystack", "haystack.pipeline.run", session=False, user=False),
    Producer(
        "semantic_kernel_agent.py", "Semantic Kernel", "forecaster",
        session=False, user=False, chat=False, tool="Sky-weather",
    ),
    Producer(
        "agent_framework_agent.py", "Microsoft Agent Framework", "forecaster",
        session=False, user=False,
    ),
    Producer(
        "autogen_agent.py", "AutoGen", "forecaster",
        session=False, user=False, tool=None, models=0, many=True, sessions=2,
    ),
    Producer(
        "azure_inference.py", "Azure AI Inference", "forecast",
        session=False, user=False, tool=None,
    ),
    Producer("opentelemetry_openai.py", "OpenTelemetry: OpenAI", "forecaster"),
    Producer(
        "opentelemetry_google_genai.py", "OpenTelemetry: Google Gen AI", "forecaster",
        session=False, user=False, tool=None,
    ),
    Producer("livekit_agent.py", "LiveKit Agents", "agent_session"),
    Producer("laminar_python.py", "Laminar", "forecaster"),
    Producer("langwatch_python.py", "LangWatch", "forecaster"),
    Producer("future_agi_openai.py", "Future AGI: OpenAI", "forecaster", tool=None, tags=True),
    Producer(
        "claude_code.mjs", "Claude Code", "claude_code.interaction",
        session=False, user=False, tool=None, chat=False, models=1, counts=(17, 7),
    ),
    Producer(
        "codex_cli.mjs", "Codex CLI", "codex.user_prompt", trace="codex.conversation_starts",
        session=False, user=False, tool=None, chat=False, models=1,
    ),
    Producer(
        "qwen_code.mjs", "Qwen Code", "qwen-code.user_prompt",
        session=False, user=False, tool=None, chat=False,
    ),
    Producer(
        "gemini_cli.mjs", "Gemini CLI", "gemini_cli.user_prompt", trace="gemini-cli",
        session=False, user=False, tool=None, chat=False, models=1,
    ),
    Producer(
        "doubled_openai.py", "OpenAI by OpenInference and OpenLLMetry", "forecaster",
        session=False, user=False, models=5,
    ),
    Producer(
        "doubled_anthropic.py", "Anthropic by itself, OpenInference and OpenLLMetry", "forecaster",
        session=False, user=False, tool=None, chat=False, counts=(17, 7),
    ),
    Producer(
        "mistral_client.py", "Mistral by itself and OpenInference", "forecaster", tool=None,
        models=4,
    ),
    Producer(
        "doubled_mistral.py", "Mistral 1.x by itself and OpenLLMetry", "forecaster",
        session=False, user=False, tool=None, chat=False, models=3,
    ),
)  # fmt: skip


@attrs.frozen
class Session:
    """A session as the server has it: its summary, its record and its whole events."""

    summary: dict[str, Any]
    record: dict[str, Any]
    events: list[dict[str, Any]]


def sessions_of(served: Served, but: Collection[str] = ()) -> list[Session]:
    """The sessions of a server with their events. ``but``: the ids of those to leave out."""
    sessions = []
    for summary in served.json("/api/sessions?limit=500&preview=1")["sessions"]:
        if summary["session_id"] in but:
            continue
        detail = served.json(f"/api/sessions/{summary['session_id']}")
        events = [served.json(f"/api/events/{entry['event_id']}") for entry in detail["events"]]
        events = [{"metadata": {}, **event} for event in events]
        sessions.append(Session(summary, detail["record"], events))
    return sessions


def check(producer: Producer, sessions: list[Session], session: str = SESSION) -> None:
    """Assert that sessions say what the producer said. ``session``: its own id of the session."""
    assert sessions, "the server has no session of it"
    if not producer.many:
        (only,) = sessions
        assert only.summary["name"] == (producer.trace or producer.root)
    assert len(sessions) == producer.sessions, [entry.summary["name"] for entry in sessions]
    for entry in sessions:
        if producer.user:
            assert entry.summary["user"] == "ada", entry.summary
        if producer.session:
            assert entry.record["metadata"]["session_id"] == session
    events = sorted(
        (event for entry in sessions for event in entry.events),
        key=lambda event: (event["start_time"], event["event_type"]),
    )
    assert producer.root in {event["event_name"] for event in events}
    models = [event for event in events if event["event_type"] in CALL_TYPES]
    assert len(models) == producer.models, [event["event_name"] for event in models]
    _check_calls(producer, models)
    if producer.tool:
        tool = next(event for event in events if event["event_type"] == "tool")
        assert tool["event_name"] == producer.tool
        assert "Oslo" in tool["inputs"].values(), tool["inputs"]
        assert tool["outputs"] == {"result": "rain"}
    for event in events:
        raw = [name for name in event["metadata"] if _RAW.match(name)]
        assert raw == [], event["event_name"]
        if producer.tags and event["event_type"] in CALL_TYPES:
            assert event["metadata"]["tags"] == ["beta"]


def _check_calls(producer: Producer, models: list[dict[str, Any]]) -> None:
    """The first call asks for the tool, the next one has its result and answers."""
    if not models:
        return
    first, second = models[0], models[min(1, len(models) - 1)]
    for model in models[:2]:
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        counts = [*producer.counts, sum(producer.counts)]
        assert [model["metadata"].get(name) for name in names] == counts
        assert model["config"]["model"], model
    if producer.chat:
        user_messages = [
            entry for entry in first["inputs"]["chat_history"] if entry["role"] == "user"
        ]
        assert QUESTION in str(user_messages[-1]["content"])
        (call,) = first["outputs"]["tool_calls"]
        assert call["function"]["name"].endswith("weather")
        assert "Oslo" in str(call["function"]["arguments"])
    if producer.chat and len(models) > 1:
        (result,) = (entry for entry in second["inputs"]["chat_history"] if entry["role"] == "tool")
        assert result["content"] in ("rain", {"result": "rain"})
        assert second["outputs"]["content"] == ANSWER
