"""One agent application in Phoenix and MLflow, through us, OpenInference and OpenLLMetry.

Makes environments with uv, starts both backends and a stub of a model, runs the application of
``tools/otel/agent.py`` through each SDK into each backend, reads back what the backend shows, and
writes table and pictures into ``docs/otel-backends.md``. Needs chromium with its driver, and some
minutes. The program ends with 1 where ours is wrong in a row in which another SDK is right.

    python tools/otel_backends.py [--upgrade] [--no-pictures] [--answers DIRECTORY]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent / "otel"))

import facts
import mlflow_reader
import page
import phoenix_reader
import rows
from environments import REPO, python_of, version_of
from model_server import model_server
from servers import mlflow_server, phoenix_server

DOCS = REPO / "docs"
READERS: dict[str, Any] = {"phoenix": phoenix_reader, "mlflow": mlflow_reader}
PACKAGES = {"phoenix": "arize-phoenix", "mlflow": "mlflow"}
OURS = "sessiontrace"
ARRIVAL_S = 60  # Phoenix inserts spans and annotations behind its answer


@contextlib.contextmanager
def backends(folder: Path) -> Iterator[dict[str, str]]:
    """The addresses of both."""
    with phoenix_server(folder / "phoenix") as phoenix, mlflow_server(folder / "mlflow") as mlflow:
        yield {"phoenix": phoenix, "mlflow": mlflow}


def run(sdk: str, backend: str, url: str, model_url: str, folder: Path) -> tuple[str, Any]:
    """Run the application; the project it went to, and the versions of what it ran with."""
    project = sdk if backend == "phoenix" else mlflow_reader.create_experiment(url, sdk)
    environment = {
        **os.environ,
        "OTEL_CONVERSATION": conversation_id(sdk),
        "PYTHONPATH": str(REPO),
        "SESSIONTRACE_SPOOL": str(folder / "spool"),
        "TRACELOOP_TELEMETRY": "false",
    }
    agent = REPO / "tools" / "otel" / "agent.py"
    command = [str(python_of(sdk)), str(agent), sdk, backend, url, model_url, project]
    output = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    if output.returncode:
        raise RuntimeError(f"{sdk} to {backend}: {output.stderr[-2000:]}")
    return project, json.loads(output.stdout.splitlines()[-1])


def conversation_id(sdk: str) -> str:
    """One for each SDK: Phoenix has one session of an id in all projects."""
    return f"trip-of-{sdk}"


def judge(sdk: str, backend: str, url: str, project: str) -> tuple[Any, list[str]]:
    """What the backend answers about the run, and the cells, once nothing improves any more."""
    reader = READERS[backend]
    facts.CONVERSATION = rows.CONVERSATION = conversation_id(sdk)
    end, before = time.monotonic() + ARRIVAL_S, -1
    while True:
        answer = reader.fetch(url, project)
        conversation = reader.read(answer)
        cells = page.cells(conversation)
        right = cells.count(page.RIGHT) if conversation.traces else 0
        if right == len(cells) or (right == before and right) or time.monotonic() > end:
            return answer, cells
        before = right
        time.sleep(15)  # Phoenix tries an annotation again after 10 s


def picture(backend: str, sdk: str) -> Path:
    """Where the picture of a run is."""
    return DOCS / f"otel-{backend}-{sdk}.png"


def take_pictures(tasks: list[dict[str, Any]]) -> None:
    """Of all runs, in an environment of their own."""
    program = REPO / "tools" / "otel" / "pictures.py"
    subprocess.run([str(python_of("pictures")), str(program), json.dumps(tasks)], check=True)


def compare(folder: Path, arguments: argparse.Namespace) -> page.Table:
    """Run everything; the table."""
    table = page.Table({}, {})
    cells: dict[page.Result, list[str]] = {}
    versions = {
        page.BACKENDS[backend]: {package: version_of(backend, package)}
        for backend, package in PACKAGES.items()
    }
    tasks = []
    with backends(folder) as urls, model_server() as model_url:
        for backend, url in urls.items():
            for sdk, name in page.SDKS.items():
                project, versions[name] = run(sdk, backend, url, model_url, folder)
                answer, cells[backend, sdk] = judge(sdk, backend, url, project)
                right = cells[backend, sdk].count(page.RIGHT)
                print(f"{name} in {backend}: {right} of {len(rows.ROWS)} rows", flush=True)
                if arguments.answers:
                    file = arguments.answers / f"{backend}-{sdk}.json"
                    file.write_text(json.dumps(answer, indent=1))
                reader = READERS[backend]
                views = reader.views(url, answer, reader.read(answer).traces[1])
                tasks.append({"views": views, "picture": str(picture(backend, sdk))})
        if not arguments.no_pictures:
            take_pictures(tasks)
    return table._replace(cells=cells, versions=versions)


def worse(table: page.Table) -> list[str]:
    """Rows in which another SDK is right and ours is not."""
    return [
        f"{page.BACKENDS[backend]}: {row.title}: {table.cells[backend, OURS][number]}"
        for backend in page.BACKENDS
        for number, row in enumerate(rows.ROWS)
        if table.cells[backend, OURS][number] != page.RIGHT
        and any(table.cells[backend, sdk][number] == page.RIGHT for sdk in page.SDKS)
    ]


def main() -> int:
    """Make everything that the arguments choose."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upgrade", action="store_true", help="install the newest of everything")
    parser.add_argument("--no-pictures", action="store_true")
    parser.add_argument("--answers", type=Path, help="keep what the backends answered there")
    arguments = parser.parse_args()
    for name in ("phoenix", "mlflow", *page.SDKS, "pictures"):
        python_of(name, upgrade=arguments.upgrade)
    with tempfile.TemporaryDirectory() as folder:
        table = compare(Path(folder), arguments)
    page.write(DOCS / "otel-backends.md", table)
    for line in worse(table):
        print(f"ours is wrong in {line}")
    return 1 if worse(table) else 0


if __name__ == "__main__":
    sys.exit(main())
