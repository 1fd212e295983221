"""Programs of other tracers, each with its real package, sending to a real ``sessiontrace serve``.

Runs the programs in ``tests/producers`` in environments of their own (``uv run --script``; npm for
JavaScript) against stub models. Checks the sessions that the server has then, writes the versions
and results into ``docs/producers.md`` and, with ``--record``, what each producer sent, which the
contract tests replay.

    PYTHONPATH=tests python tools/producers.py [--record] [--no-table] [PROGRAM]...
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from floors import uv
from support.otlp_recorder import recording, save
from support.producers import PRODUCERS, PROGRAMS, RECORDED, Producer, check, sessions_of
from support.server_process import serving
from support.stubs import anthropic_api, openai_api, provider

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "producers"
TABLE = REPO / "docs" / "producers.md"
MARK = "<!-- written by tools/producers.py -->"
SECONDS = 180
QUIET = {
    "ANONYMIZED_TELEMETRY": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TRACELOOP_TELEMETRY": "false",
}
"""Programs reach this machine only, and send at once."""


def gemini(body: dict[str, Any]) -> dict[str, Any]:
    """Asks for the tool first, and answers once it was given the tool's result."""
    parts = [part for content in body["contents"] for part in content["parts"]]
    part: dict[str, Any] = {"text": openai_api.TEXT}
    if not any("functionResponse" in part for part in parts):
        part = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}}
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": 12,
            "candidatesTokenCount": 7,
            "totalTokenCount": 19,
            "cachedContentTokenCount": 5,
        },
        "modelVersion": "ok-2026",
    }


def gemini_answer(body: dict[str, Any]) -> Iterator[str]:
    """Answers in a stream of one piece."""
    reply = gemini({**body, "contents": [{"parts": [{"functionResponse": {}}]}]})
    yield f"data: {json.dumps(reply)}\n\n"


ROUTES = {
    **openai_api.TOOL_FIRST,
    **anthropic_api.ROUTES,
    "/chat/completions": openai_api.tool_first,
    "/v1/agents/completions": lambda body: openai_api.chat({"model": "ok", **body}),
    "/v1beta/models/gemini-ok:generateContent": gemini,
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent": gemini_answer,
}


class Run(NamedTuple):
    """How one program runs: its command, its folder and the packages whose versions are of note."""

    command: list[str]
    folder: Path
    versions: dict[str, str]


def prepare(producer: Producer) -> Run:
    """Make or update the environment of a program."""
    program = PROGRAMS / producer.program
    if program.suffix == ".mjs":
        return prepare_node(program)
    PLACE.mkdir(parents=True, exist_ok=True)
    subprocess.run([uv(), "sync", "-q", "--upgrade", "--script", str(program)], check=True)
    python = subprocess.run(
        [uv(), "python", "find", "--script", str(program)],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    Path(f"{program}.lock").unlink(missing_ok=True)
    names = re.findall(r'"([\w.-]+)(?:\[[\w,]+\])?[^"]*"', program.read_text().split("# ///")[1])
    code = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in "
    shown = subprocess.run(
        [python, "-c", f"{code}sys.argv[1:]}}))", *names],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return Run([python, str(program)], PLACE, json.loads(shown))


def prepare_node(program: Path) -> Run:
    """Install a JavaScript program's packages beside a copy of it."""
    folder = PLACE / "js" / program.stem
    folder.mkdir(parents=True, exist_ok=True)
    packages = program.read_text().splitlines()[0].removeprefix("// npm: ").split()
    names = [re.sub("(?<=.)@[^/]+$", "", package) for package in packages]  # without versions
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    subprocess.run(["npm", "install", *quiet, *packages], cwd=folder, check=True)
    (folder / program.name).write_text(program.read_text())
    versions = {
        name: json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]
        for name in names
    }
    return Run(["node", program.name], folder, versions)


def environment(url: str, models: str) -> Mapping[str, str]:
    """The variables of a program: where the server and the models are, and nothing of our own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {
        **plain,
        **QUIET,
        "SESSIONTRACE_URL": url,
        "OPENAI_BASE_URL": f"{models}/v1",
        "OPENAI_API_KEY": "any",
        "ANTHROPIC_BASE_URL": models,
        "ANTHROPIC_API_KEY": "any",
        "GOOGLE_GEMINI_BASE_URL": models,
        "GOOGLE_API_KEY": "any",
    }


def run(producer: Producer, *, record: bool) -> str:
    """Run one program; its row of the table."""
    prepared = prepare(producer)
    with (
        tempfile.TemporaryDirectory() as place,
        provider.serving(ROUTES) as models,
        serving(Path(place) / "store.db") as served,
        recording(served) as recorder,
    ):
        result = subprocess.run(
            prepared.command,
            cwd=prepared.folder,
            env=environment(recorder.url, models.url),
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        problem = problem_of(producer, result, recorder.statuses, sessions_of(served))
    if record and not result.returncode and recorder.requests:
        RECORDED.mkdir(exist_ok=True)
        signals = [sent for sent in recorder.requests if "metrics" not in sent.path]
        save(RECORDED / f"{producer.name}.json", signals)
    packages = ", ".join(f"{name} {version}" for name, version in own(prepared.versions))
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return f"| {producer.title} | {packages} | {problem or 'all right'} | {today} |"


def problem_of(producer: Producer, result: Any, statuses: list[int], sessions: list[Any]) -> str:
    """What went wrong, in a line; empty where all is right."""
    if result.returncode:
        return f"the program failed: {(result.stderr.strip().splitlines() or ['?'])[-1]}"
    if not statuses or not {200, 202, 207}.issuperset(statuses):
        return f"the server answered {sorted(set(statuses))}"
    try:
        check(producer, sessions)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        print(result.stdout[-2000:], result.stderr[-2000:], sep="\n")
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ""


def own(versions: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The producer's packages, without those of OpenTelemetry's SDK beside them."""
    sdk = ("opentelemetry-sdk", "opentelemetry-exporter", "@opentelemetry/")
    for name, version in versions.items():
        if not name.startswith(sdk):
            yield name, version


def write(rows: list[str]) -> None:
    """Replace the rows of what has run between the two marks of the page."""
    before, old, after = TABLE.read_text().split(MARK)
    head = ["| producer | packages | result | date |", "|---|---|---|---|"]
    titles = {producer.title: place for place, producer in enumerate(PRODUCERS)}
    by_title = {row.split(" | ")[0].removeprefix("| "): row for row in old.splitlines()[3:]}
    by_title.update((row.split(" | ")[0].removeprefix("| "), row) for row in rows)
    ordered = sorted((title for title in by_title if title in titles), key=titles.__getitem__)
    table = "\n".join([*head, *(by_title[title] for title in ordered)])
    TABLE.write_text(f"{before}{MARK}\n{table}\n{MARK}{after}")


def main() -> int:
    """Run what the arguments choose; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    parser.add_argument("--record", action="store_true", help="write what was sent for the tests")
    parser.add_argument("--no-table", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.programs) - {producer.name for producer in PRODUCERS}
    if unknown:
        sys.exit(f"no such program: {', '.join(sorted(unknown))}")
    rows = []
    for producer in PRODUCERS:
        if not arguments.programs or producer.name in arguments.programs:
            print(f"== {producer.name}", flush=True)
            rows.append(run(producer, record=arguments.record))
            print(rows[-1], flush=True)
    if not arguments.no_table:
        write(rows)
    return int(any("| all right |" not in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
