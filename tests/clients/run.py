"""Drives the vendors' own clients, unchanged, against a server started as a user starts it.

    python tests/clients/run.py                 all of them
    python tests/clients/run.py posthog otlp    some

Each client gets an environment of its own, made once and kept in ``.venv/clients``; one whose
registry is not reached is skipped with a message. Prints a line for each, and exits with 1 when
one of them failed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
sys.path.insert(0, str(REPO / "tests"))
CACHE = REPO / ".venv" / "clients"
INSTALL_S = 300
RUN_S = 60

from support.server_process import Served, serving  # noqa: E402


class NotHereError(Exception):
    """The client cannot be installed on this machine; the text says why."""


@attrs.frozen
class Client:
    """One official client: what to install, what to run, what must be on the page then."""

    name: str
    packages: Sequence[str]
    script: str
    expects: Mapping[str, Any]
    overrides: Mapping[str, str] | None = None  # of npm; None: a Python client


PYTHON_HUMANLOOP = {"events": 2, "models": 1, "errors": 1}
CLIENTS = [
    Client(
        "honeyhive-1.7",
        ["honeyhive==1.7.*"],
        "honeyhive_client.py",
        {"name": "official", "source": "clients", "user": "ada", "events": 4, "models": 1},
    ),
    Client("humanloop-0.7.35", ["humanloop==0.7.35"], "humanloop_client.py", PYTHON_HUMANLOOP),
    Client("humanloop-0.5.18", ["humanloop==0.5.18"], "humanloop_client.py", PYTHON_HUMANLOOP),
    Client(
        "posthog-7.91",
        ["posthog==7.91.*"],
        "posthog_client.py",
        {"name": "official", "user": "ada", "events": 3, "models": 1, "errors": 1, "tokens": 4},
    ),
    Client(
        "otlp",
        ["opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk"],
        "otlp_client.py",
        {"name": "official", "source": "clients", "events": 3, "models": 1, "errors": 1,
         "tokens": 4},
    ),
    Client(
        "node-humanloop-0.5.36",
        ["humanloop@0.5.36"],
        "humanloop_node.cjs",
        {"events": 1, "models": 1},
        overrides={"konfig-axios-fetch-adapter": "1.0.9", "axios": "0.27.2"},
    ),
]  # fmt: skip


def install(client: Client) -> Path:
    """The client's environment, made where it is not there yet."""
    home = CACHE / client.name
    mark = home / ".installed"
    wanted = json.dumps([list(client.packages), dict(client.overrides or {})])
    if mark.exists() and mark.read_text() == wanted:
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if client.overrides is None:
        venv.create(home, with_pip=True)
        pip = [str(python_of(home)), "-m", "pip", "install", "--quiet"]
        call([*pip, "--disable-pip-version-check", "--retries", "1", *client.packages], home)
    else:
        if shutil.which("npm") is None:
            raise NotHereError("npm is not installed")
        name, _, version = client.packages[0].rpartition("@")
        package = {
            "private": True,
            "dependencies": {name: version},
            "overrides": dict(client.overrides),
        }
        (home / "package.json").write_text(json.dumps(package))
        call(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], home)
    mark.write_text(wanted)
    return home


def call(command: Sequence[str], home: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=home, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotHereError(f"{command[0]} took more than {INSTALL_S} s") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotHereError(f"it cannot be installed: {' '.join(last)}")


def python_of(home: Path) -> Path:
    return home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def drive(client: Client, home: Path, server: Served) -> dict[str, Any]:
    """Run the client's script; the session that it made, as the page shows it."""
    script = HERE / client.script
    if client.overrides is None:
        command = [str(python_of(home)), str(script), server.url]
    else:
        # Node looks for packages beside the script, not where it is started.
        copy = shutil.copy(script, home / script.name)
        command = ["node", str(copy), server.url]
    done = subprocess.run(
        command, cwd=home, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    told = done.stdout.split()[-1].removeprefix("sesh_")
    session_id = told
    if "-" not in told:
        session_id = f"{told[:8]}-{told[8:12]}-{told[12:16]}-{told[16:20]}-{told[20:]}"
    shown: dict[str, Any] = server.json(f"/api/sessions/{session_id}")
    wrong = {
        name: shown["session"][name]
        for name, value in client.expects.items()
        if shown["session"][name] != value
    }
    assert not wrong, f"expected {dict(client.expects)}, got {wrong}"
    for event in shown["events"]:
        assert server.json(f"/api/events/{event['event_id']}")["session_id"] == session_id
    lost = [one for one in shown["events"] if one["parent_id"] not in
            {session_id, *(each["event_id"] for each in shown["events"])}]  # fmt: skip
    assert not lost, f"steps whose parent is not here: {lost}"
    return shown


@contextmanager
def server() -> Iterator[Served]:
    """A server over a store of its own, until the block ends."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "store.db") as served:
        yield served


def main(names: Sequence[str]) -> int:
    chosen = [one for one in CLIENTS if not names or any(name in one.name for name in names)]
    failed = 0
    with server() as served:
        for client in chosen:
            try:
                shown = drive(client, install(client), served)
            except NotHereError as error:
                print(f"skip  {client.name}: {error}")
            except AssertionError as error:
                failed += 1
                print(f"FAIL  {client.name}: {error}")
            else:
                steps = ", ".join(event["name"] for event in shown["events"])
                print(f"ok    {client.name}: {shown['session']['name']}: {steps}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
