"""docs/extending/vendor.md, followed to the letter: as a package and in a copy of the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support import subprocesses
from support.extending import blocks_of
from support.fake_backend import Backend, answer
from support.subprocesses import REPO

PAGE = REPO / "docs" / "extending" / "vendor.md"
PACKAGE = ("__init__.py", "destination.py", "exporter.py")


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    """The page's files by their titles."""
    return blocks_of(PAGE)


def test_a_package_of_ones_own(blocks: dict[str, str], tmp_path: Path) -> None:
    """Installed as the page says, it is a destination by name, and the doctor knows it."""
    site = tmp_path / "site"
    (site / "acme_sessiontrace").mkdir(parents=True)
    for name in PACKAGE:
        title = f"acme_sessiontrace/{name}"
        (site / title).write_text(blocks[title])
    toml = blocks["pyproject.toml"]
    points = re.findall(r'^\[project.entry-points."(.+)"\]\n(\w+) = "(.+)"$', toml, re.MULTILINE)
    ((group, name, value),) = points
    metadata = site / "acme_sessiontrace-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sessiontrace\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")

    with Backend() as backend:
        backend.responder = lambda seen: answer(200, b"{}")
        env = subprocesses.environment(
            tmp_path, PYTHONPATH=f"{site}:{REPO}", ACME_API_KEY="acme_key", ACME_URL=backend.url
        )
        program = "import sessiontrace as st\nst.init('acme')\nwith st.session('chat'): pass\n"
        subprocess.run([sys.executable, "-c", program], env=env, check=True)
        doctor = [sys.executable, "-m", "sessiontrace", "doctor", "acme", "--canary", "--json"]
        done = subprocess.run(doctor, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    findings = {finding["subject"]: finding["state"] for finding in json.loads(done.stdout)["acme"]}
    assert findings["key"] == findings["canary"] == "ok"
    events = [
        event
        for request in backend.requests
        if request.path == "/v1/events"
        for event in request.json["events"]
    ]
    assert [event["event_name"] for event in events] == ["chat", "sessiontrace doctor"]


@pytest.mark.slow
def test_in_this_repository(blocks: dict[str, str], tmp_path: Path) -> None:
    """In a copy: the row in the registry alone fails the suite; with the case it passes."""
    for name in ("sessiontrace", "tests"):
        unneeded = shutil.ignore_patterns("__pycache__", "golden_data", "browser", "data")
        shutil.copytree(REPO / name, tmp_path / name, ignore=unneeded)
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    package = tmp_path / "sessiontrace" / "vendors" / "acme"
    package.mkdir()
    for name in PACKAGE:
        code = blocks[f"acme_sessiontrace/{name}"]
        (package / name).write_text(code.replace("acme_sessiontrace", "sessiontrace.vendors.acme"))
    for title, before in (
        ("sessiontrace/vendors/registry.py", '    "local": (),\n'),
        ("sessiontrace/__init__.py", '    "ConfigError":'),
    ):
        source = (tmp_path / title).read_text()
        assert source.count(before) == 1
        row = textwrap.indent(textwrap.dedent(blocks[title]), "    ")
        (tmp_path / title).write_text(source.replace(before, f"{row}{before}"))

    suite = "tests/contract/test_exporters_cover_the_registry.py"
    assert "vendor 'acme' is in" in pytest_in(tmp_path, suite, "-k", "acme", status=1)
    with (tmp_path / "tests" / "support" / "exporters.py").open("a") as file:
        file.write("\n\n" + blocks["tests/support/exporters.py"])
    covered = pytest_in(tmp_path, suite, "tests/contract/test_exporters.py", "-k", "acme")
    assert int(re.findall(r"(\d+) passed", covered)[0]) > 20
    program = "import sessiontrace as st; print(st.Acme(api_key='k').kind)"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout == "acme\n"


def pytest_in(directory: Path, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout
