"""Checks the distributions: metadata, contents, types, and what editors show of the API.

Makes ``.venv/package`` with uv, of the dependency group ``package``, builds the source distribution
and a wheel without compiled forms, and installs that wheel there. Prints a line for each check. The
program ends with 1 where a check fails.

    python tools/package_checks.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from floors import uv

REPO = Path(__file__).resolve().parent.parent
PLACE = REPO / ".venv" / "package"
BIN = PLACE / ("Scripts" if os.name == "nt" else "bin")
DISTRIBUTIONS = REPO / "build" / "package"
WORKFLOWS = REPO / ".github" / "workflows"

Check = Callable[[], str]
"""Returns what it measured, or raises ``CheckError``."""


class CheckError(Exception):
    """A check's complaint."""


def run(*command: str | Path, cwd: Path = REPO, fails: bool = False, **env: str) -> str:
    """The output of a program of the environment; ``CheckError`` where it may not fail and does."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": path, "VIRTUAL_ENV": str(PLACE), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and not fails:
        raise CheckError((done.stdout + done.stderr).strip()[-3000:])
    return done.stdout


def prepare() -> None:
    """Make the environment and the distributions."""
    command = uv()
    if not BIN.exists():
        run(command, "venv", "--quiet", "--python", sys.executable, PLACE)
    run(command, "pip", "install", "--quiet", "--python", PLACE, "--group", "package")
    for old in distributions():
        old.unlink()
    run(command, "build", "--quiet", "--out-dir", DISTRIBUTIONS, SESSIONTRACE_PURE="1")
    wheel = next(DISTRIBUTIONS.glob("*.whl"))
    run(command, "pip", "install", "--quiet", "--python", PLACE, "--reinstall-package",
        "sessiontrace", f"sessiontrace[cli] @ file://{wheel}")  # fmt: skip


def distributions() -> list[Path]:
    return [*DISTRIBUTIONS.glob("*.whl"), *DISTRIBUTIONS.glob("*.tar.gz")]


def metadata() -> str:
    """Pyroma's rating of the source distribution."""
    printed = run(BIN / "pyroma", next(DISTRIBUTIONS.glob("*.tar.gz")))
    rating = next(line for line in printed.splitlines() if line.startswith("Final rating"))
    if not rating.endswith(" 10/10"):
        raise CheckError(printed)
    return rating


def upload() -> str:
    """What the index would refuse."""
    run(BIN / "twine", "check", "--strict", *distributions())
    return "accepted"


def contents() -> str:
    """Files that belong in no wheel, or are missing there."""
    run(BIN / "check-wheel-contents", *DISTRIBUTIONS.glob("*.whl"))
    return ", ".join(f"{path.name} {path.stat().st_size:,} bytes" for path in distributions())


def project_file() -> str:
    """``pyproject.toml`` against its specification."""
    run(BIN / "validate-pyproject", "pyproject.toml")
    return "valid"


def types() -> str:
    """The share of public symbols whose type is declared, by pyright."""
    command = [BIN / "pyright", "--verifytypes", "sessiontrace", "--ignoreexternal", "--outputjson"]
    report = json.loads(run(*command, cwd=PLACE, fails=True))["typeCompleteness"]
    undeclared = [
        symbol["name"]
        for symbol in report["symbols"]
        if symbol["isExported"] and (symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"])
    ]
    if undeclared:
        raise CheckError(f"types not declared, or that depend on one: {', '.join(undeclared)}")
    return f"{report['completenessScore']:.0%} of {len(report['symbols'])} symbols"


def editors() -> str:
    """Jedi's, griffe's and pyright's view of each public name."""
    return run(BIN / "python", REPO / "tools" / "editor_views.py", cwd=PLACE).strip()


def workflows() -> str:
    """The workflows, by actionlint."""
    files = sorted(WORKFLOWS.glob("*.yml"))
    run(BIN / "actionlint", *files)
    return ", ".join(path.name for path in files)


def containers() -> str:
    """The container's file, by hadolint."""
    files = sorted(REPO.glob("deploy/**/Dockerfile"))
    if files:
        run(BIN / "hadolint", *files)
    return ", ".join(str(path.relative_to(REPO)) for path in files) or "none"


def compositions() -> str:
    """The compose files: by compose-lint, and by Docker's own reader where Docker has it."""
    files = sorted(REPO.glob("deploy/**/compose.yaml")) + sorted(REPO.glob("docs/**/compose.yaml"))
    run(BIN / "compose-lint", *files)
    paths = ", ".join(str(path.relative_to(REPO)) for path in files)
    docker = shutil.which("docker")
    if docker is None or "version" not in run(docker, "compose", "version", fails=True):
        return f"{paths}, without docker compose"
    passwords = dict.fromkeys(("CLICKHOUSE_PASSWORD", "SESSIONTRACE_CLICKHOUSE_PASSWORD"), "set")
    for file in files:
        run(docker, "compose", "-f", file, "--profile", "*", "config", "--quiet", **passwords)
    return f"{paths}, and docker compose"


CHECKS: Iterable[Check] = (
    metadata, upload, contents, project_file, types, editors, workflows, containers,
    compositions,
)  # fmt: skip


def main() -> int:
    """Run every check; 1 where one fails."""
    prepare()
    failures = 0
    for check in CHECKS:
        title = check.__name__.replace("_", " ")
        try:
            print(f"{title:13} {check()}", flush=True)
        except CheckError as error:
            failures += 1
            print(f"{title:13} FAILED\n{error}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
