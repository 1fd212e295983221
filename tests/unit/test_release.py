"""A release: its version is in one place, and its notes are the changelog's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import sessiontrace

REPO = Path(__file__).resolve().parents[2]
SCRIPT = REPO / "tools" / "release_notes.py"


def release_notes(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_version_of_the_package_is_released_with_the_changelogs_notes(tmp_path: Path) -> None:
    """Without a tag, as a rehearsal: what is not released yet."""
    done = release_notes("--notes", str(tmp_path / "notes.md"))
    assert done.stdout == f"version={sessiontrace.__version__}\n"
    assert (tmp_path / "notes.md").read_text().startswith("### ")


def test_a_tag_of_another_version_releases_nothing() -> None:
    """The message names both."""
    done = release_notes("--tag", "v99.0.0")
    assert done.returncode == 1
    assert f"the tag is v99.0.0, the package's version {sessiontrace.__version__}" in done.stderr


def test_a_section_ends_where_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles with a date and with brackets, as Keep a Changelog writes them."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import release_notes as tool  # type: ignore[import-not-found]

    changelog = "# Changes\n\n## Unreleased\n- c\n\n## [0.2.0] - 2026-01-02\n- b\n\n## 0.1.0\n- a\n"
    assert [tool.notes(changelog, title) for title in ("Unreleased", "0.2.0", "0.1.0", "0.2")] == [
        "- c",
        "- b",
        "- a",
        "",
    ]


def test_every_supported_python_has_a_wheel() -> None:
    """The classifiers, the wheels of a release and the Pythons of the tests are the same."""
    project = (REPO / "pyproject.toml").read_text()
    classified = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    built = re.search(r'^build = "(.+)"', project, re.MULTILINE)
    assert built is not None
    assert built[1] == " ".join(f"cp{version.replace('.', '')}-*" for version in classified)
    pythons = (REPO / "tools" / "pythons.py").read_text()
    named = ", ".join(f'"{version}"' for version in classified)
    assert f"VERSIONS = ({named})" in pythons


def test_a_publisher_needs_no_password() -> None:
    """PyPI knows the workflow: the job that publishes may sign, and no job has a secret."""
    text = (REPO / ".github" / "workflows" / "release.yml").read_text()
    publish = yaml.safe_load(text)["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"]["name"] == "pypi"
    assert "secrets." not in text
