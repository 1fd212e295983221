"""docs/extending/library.md, followed to the letter: with its files in place, its test passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.patience import patience
from support.subprocesses import REPO, environment

BLOCK = re.compile(r'```python title="([^"]+)"\n(.*?)```', re.DOTALL)

CONFTEST = """
import sys
sys.path.insert(0, {site!r})
from sessiontrace.instrumentation import libraries
libraries.__path__.append({site!r} + "/sessiontrace/instrumentation/libraries")
"""


def test_the_files_of_the_guide_work_as_written(tmp_path: Path) -> None:
    """The module of the guide, found by the registry, records the calls of the guide's library."""
    files = dict(BLOCK.findall((REPO / "docs" / "extending" / "library.md").read_text()))
    assert len(files) == 3
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (test,) = (name for name in files if name.startswith("tests/"))
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST.format(site=str(tmp_path)))

    config = ("-c", str(REPO / "pyproject.toml"), "--rootdir", str(tmp_path))
    pytest = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *config, test],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=patience(120),
        check=False,
    )

    assert "1 passed" in pytest.stdout, pytest.stdout + pytest.stderr
