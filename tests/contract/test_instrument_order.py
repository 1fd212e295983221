"""The order of import and ``instrument``, and instrumentors of third parties."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
from support.subprocesses import REPO, run

from sessiontrace.instrumentation.registry import built_in

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

LIBRARIES = {entry.name: entry.target for entry in built_in() if entry.by_default}

LOOK = """
import importlib, json, os, sys
import sessiontrace as st
order, modules = sys.argv[1], sys.argv[2:]
if order == "before":
    st.instrument()
for module in modules:
    importlib.import_module(module)
print(json.dumps(st.instrument()._asdict()))
st.uninstrument()
"""


def installed(module: str) -> bool:
    """By its top level; ``google`` is one that several packages share."""
    levels = 2 if module.startswith("google.") else 1
    try:
        return importlib.util.find_spec(".".join(module.split(".")[:levels])) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("order", ["before", "after"])
def test_every_library_before_and_after_its_import(tmp_path: Path, order: str) -> None:
    """Whichever comes first, the report has every installed library active."""
    there = {name: module for name, module in LIBRARIES.items() if installed(module)}
    if len(there) < 3:
        pytest.skip("the contract group is not installed")
    done = run(
        LOOK.replace(
            "import importlib",
            "import warnings; warnings.simplefilter('ignore')\nimport importlib",
            1,
        ),
        tmp_path,
        order,
        *there.values(),
        limit=250,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    report = json.loads(done.stdout.splitlines()[-1])

    assert report["failed"] == {}
    assert set(report["active"]) == set(there)


def test_an_instrumentor_of_a_third_party(tmp_path: Path) -> None:
    """The example in the documentation, installed as its own distribution, records a call."""
    text = (REPO / "docs" / "instrumentation.md").read_text()
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    code = [block for language, block in blocks if language == "python"][-1]
    entry = [block for language, block in blocks if language == "toml"][-1]
    site = tmp_path / "site"
    info = site / "weatherlib_tracing-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "weatherlib.py").write_text(
        "class Client:\n    def ask(self, city):\n        return 21\n"
    )
    (site / "weatherlib_tracing.py").write_text(code)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: weatherlib-tracing\nVersion: 1.0\n"
    )
    name, value = re.search(r'^(\S+) = "(\S+)"$', entry, re.MULTILINE).groups()  # type: ignore[union-attr]
    (info / "entry_points.txt").write_text(f"[sessiontrace.instrumentors]\n{name} = {value}\n")
    program = f"""
import sys
sys.path.insert(0, {str(site)!r})
import sessiontrace as st
st.init("local", spool=False)
assert "weatherlib_tracing" in st.instrument().waiting
import weatherlib
with st.session("s") as session:
    assert weatherlib.Client().ask("Oslo") == 21
    print(len(session.children_ids))
st.uninstrument()
assert weatherlib.Client.ask.__qualname__ == "Client.ask"
"""
    assert run(program, tmp_path).stdout.strip() == "1"
