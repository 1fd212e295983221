"""``sessiontrace run``: an unmodified program is traced, and behaves as if it were run plainly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.run_command import stored
from support.stubs.openai_api import ROUTES
from support.stubs.provider import Provider, serving
from support.subprocesses import environment

from sessiontrace.cli.commands import run as run_command

pytestmark = pytest.mark.timeout(300)

AGENT = """
import openai, os, sys

def weather(city):
    return f"rain in {city}"

client = openai.OpenAI(base_url=os.environ["STUB"], api_key="k")
history = [{"role": "user", "content": "What is the weather in Oslo?"}]
message = client.chat.completions.create(model="tools", messages=history).choices[0].message
history.append(message)
for call in message.tool_calls:
    history.append({"role": "tool", "tool_call_id": call.id, "content": weather("Oslo")})
for chunk in client.chat.completions.create(model="ok", messages=history, stream=True):
    pass
client.close()
print("done", *sys.argv[1:])
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(ROUTES) as running:
        yield running


def run(
    home: Path, words: list[str], expect: int = 0, **extra: str
) -> subprocess.CompletedProcess[str]:
    variables = environment(home, **extra)
    variables["SESSIONTRACE_STORE"] = str(home / "store.db")
    done = subprocess.run(
        [sys.executable, "-m", "sessiontrace", "run", *words],
        env=variables,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def needs_openai() -> None:
    pytest.importorskip("openai", reason="the contract group is not installed")


def test_an_unmodified_agent_gives_its_session(tmp_path: Path, provider: Provider) -> None:
    """Two model calls, one of them streamed, and the tool between them, in one session."""
    needs_openai()
    (tmp_path / "agent.py").write_text(AGENT)
    done = run(tmp_path, ["agent.py", "--fast", "x"], STUB=f"{provider.url}/v1")

    assert done.stdout == "done --fast x\n"
    assert done.stderr == ""
    (session,) = stored(tmp_path)
    assert session.summary.name == "agent.py"
    assert session.summary.status == "ended"
    assert [(event.type, event.name) for event in session.events] == [
        ("model", "chat tools"),
        ("tool", "weather"),
        ("model", "chat ok"),
    ]


def test_children_join_the_session(tmp_path: Path, provider: Provider) -> None:
    """A process of its own is a turn of the session; a forked one goes on where it was born."""
    needs_openai()
    (tmp_path / "child.py").write_text(
        "import openai, os\n"
        "def ask(*_):\n"
        "    with openai.OpenAI(base_url=os.environ['STUB'], api_key='k') as client:\n"
        "        client.chat.completions.create(model='ok', messages=[])\n"
        "if __name__ == '__main__':\n"
        "    ask()\n"
    )
    (tmp_path / "parent.py").write_text(
        "import multiprocessing, subprocess, sys\n"
        "import child\n"
        "if __name__ == '__main__':\n"
        "    child.ask()\n"
        "    subprocess.run([sys.executable, 'child.py'], check=True)\n"
        "    for method in ('spawn', 'fork'):\n"
        "        process = multiprocessing.get_context(method).Process(target=child.ask)\n"
        "        process.start()\n"
        "        process.join()\n"
        "        assert process.exitcode == 0\n"
    )
    run(tmp_path, ["parent.py"], STUB=f"{provider.url}/v1")

    (session,) = stored(tmp_path)
    assert session.summary.models == 4
    turns = [event for event in session.events if event.turn]
    assert len(turns) == 2
    assert {turn.status for turn in turns} == {"ended"}


def test_a_stream_left_open_at_the_end(tmp_path: Path, provider: Provider) -> None:
    """The program ends in the middle of a stream: the call is recorded with what had arrived.

    Python 3.13.0 itself crashes then, in collecting the SDK's stream; with us as without.
    """
    needs_openai()
    (tmp_path / "half.py").write_text(
        "import openai, os\n"
        "client = openai.OpenAI(base_url=os.environ['STUB'], api_key='k')\n"
        "stream = client.chat.completions.create(model='ok', messages=[], stream=True)\n"
        "next(stream), next(stream)\n"
    )
    stub = {"STUB": f"{provider.url}/v1"}
    bare = subprocess.run(
        [sys.executable, "half.py"], env=environment(tmp_path, **stub), cwd=tmp_path, check=False
    )
    run(tmp_path, ["half.py"], expect=bare.returncode, **stub)

    (session,) = stored(tmp_path)
    (event,) = session.events
    assert event.name == "chat ok"
    assert event.status == "ended"


def test_modules_scripts_and_commands(tmp_path: Path) -> None:
    """``-m``, a script and a command on the path get their arguments as ever."""
    (tmp_path / "tool.py").write_text("import sys; print(sys.argv[1:], __name__)")

    assert run(tmp_path, ["-m", "tool", "a", "-b"]).stdout == "['a', '-b'] __main__\n"
    assert run(tmp_path, ["tool.py", "-m", "--name"]).stdout == "['-m', '--name'] __main__\n"
    assert run(tmp_path, ["tool.py", "--help", "--", "-h"]).stdout == (
        "['--help', '--', '-h'] __main__\n"
    )
    assert run(tmp_path, ["-m", "tool", "--help"]).stdout == "['--help'] __main__\n"
    assert run(tmp_path, ["--name", "n", "tool.py", "--nope=1"]).stdout == "['--nope=1'] __main__\n"
    assert run(tmp_path, ["--", "echo", "hello"]).stdout == "hello\n"


def test_exit_codes_and_faults(tmp_path: Path) -> None:
    """The program's own status comes through; a program that cannot be started is one line."""
    (tmp_path / "three.py").write_text("raise SystemExit(3)")
    run(tmp_path, ["three.py"], expect=3)

    assert "no file and no command" in run(tmp_path, ["absent.py"], expect=2).stderr
    assert "no program" in run(tmp_path, [], expect=2).stderr
    assert "No such option '--nope'" in run(tmp_path, ["--nope", "x"], expect=2).stderr
    assert "Usage: sessiontrace run" in run(tmp_path, ["--help"]).stdout


def test_a_sitecustomize_behind_ours_still_runs(tmp_path: Path) -> None:
    """Someone's own start-up code is hidden by ours on the path, and runs all the same."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("import builtins; builtins.marked = __file__")
    (tmp_path / "look.py").write_text(
        "import json, sys\n"
        "print(json.dumps([marked, sys.modules['sitecustomize'].__file__, sys.path]))"
    )
    path = os.pathsep.join([str(theirs), environment(tmp_path)["PYTHONPATH"]])
    marked, module, search = json.loads(run(tmp_path, ["look.py"], PYTHONPATH=path).stdout)

    assert marked == module == str(theirs / "sitecustomize.py")
    assert not [entry for entry in search if entry.endswith("bootstrap")]


def test_the_bootstrap_loads_only_the_standard_library(tmp_path: Path) -> None:
    """It runs in every Python below: no SDK until a library of the list is imported."""
    (tmp_path / "look.py").write_text(
        "import sys\n"
        "heavy = {'sessiontrace', 'orjson', 'attrs', 'aiohttp', 'asyncio'} & set(sys.modules)\n"
        "print(sorted(heavy), type(sys.meta_path[0]).__name__)"
    )

    assert run(tmp_path, ["look.py"]).stdout == "[] _ImportWaiter\n"


def test_it_can_be_switched_off_for_children(tmp_path: Path) -> None:
    """SESSIONTRACE_AUTO=0 in a child's environment: no finder, no tracing."""
    (tmp_path / "look.py").write_text(
        "import os, subprocess, sys\n"
        "code = 'import sys; print(type(sys.meta_path[0]).__name__)'\n"
        "off = {**os.environ, 'SESSIONTRACE_AUTO': '0'}\n"
        "subprocess.run([sys.executable, '-c', code], env=off, check=True)\n"
    )

    assert "_ImportWaiter" not in run(tmp_path, ["look.py"]).stdout


def test_the_command_keeps_the_environment(tmp_path: Path) -> None:
    """Only PYTHONPATH and variables of ours differ from what the program would get plainly."""
    before = {"A": "1", "PYTHONPATH": "/their/path"}
    after = run_command.environment(before, "name with spaces")

    assert {key for key in after if not key.startswith("SESSIONTRACE_")} == {"A", "PYTHONPATH"}
    assert after["PYTHONPATH"].split(os.pathsep)[1:] == ["/their/path"]
    assert after["SESSIONTRACE_RUN"].split(" ", 2)[2] == "name with spaces"
