"""The programs in examples/ for frameworks: each runs without a key and gives one whole session."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.own_environment import OWN_ENVIRONMENT
from support.run_command import stored
from support.subprocesses import REPO, environment

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

EXAMPLES = {
    "claude_agent": "claude_agent_sdk",
    "crewai_crew": "crewai",
    "langgraph_agent": "langgraph",
    "openai_agents": "agents",
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example: str, tmp_path: Path) -> None:
    """Two model calls with tokens and the tool between them, each once, below one question."""
    if not os.environ.get("FRAMEWORK_EXAMPLES") or not importlib.util.find_spec(EXAMPLES[example]):
        pytest.skip(f"{example} {OWN_ENVIRONMENT}")
    keys = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY"}
    variables = environment(tmp_path, SESSIONTRACE_STORE=str(tmp_path / "store.db"))
    variables = {name: value for name, value in variables.items() if name not in keys}
    program = [sys.executable, os.path.join(REPO, "examples", f"{example}.py")]
    done = subprocess.run(
        program, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

    (session,) = stored(tmp_path)
    models = [event for event in session.events if event.type == "model"]
    tools = [event for event in session.events if event.type == "tool"]
    assert done.stdout.strip()
    assert session.summary.name == "trip to Lisbon"
    assert len(models) == 2
    assert all(event.tokens > 0 for event in models)
    assert ["weather" in event.name for event in tools] == [True]
    assert [event.name for event in session.events if event.error] == []
