"""docs/extending/field.md, followed to the letter in a copy of the package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from support.extending import blocks_of
from support.subprocesses import REPO

PROGRAM = """
import json, os
import orjson
import sessiontrace as st
from sessiontrace.capture.redaction import async_redactor
from sessiontrace.cli.render.html_report import page
from sessiontrace.export.protocol import Batch
from sessiontrace.model.record import EVENT, Record
from sessiontrace.server.apis.honeyhive import mapping
from sessiontrace.store.sqlite.store import SqliteStore
from sessiontrace.testing import capture
from sessiontrace.vendors.humanloop.exporter_v4 import HumanloopExporter
from sessiontrace.vendors.otlp.exporter import OTLPExporter
from sessiontrace.vendors.posthog.exporter import PostHogExporter
from sessiontrace.vendors.shared.truncate import truncate_record

seen = []
async def redact(field, value):
    seen.append(field)
    return value

st.init("local", spool=False, redact=[redact])
with st.session("chat") as session:
    with st.span("step") as span:
        span.set(labels={"tier": "gold"})
st.shutdown(10)
store = SqliteStore(st.Local().complete(os.environ).path, read_only=True)
body = store.record(span.event_id)
record = Record(EVENT, b"*", orjson.dumps(body))
large = Record(EVENT, b"*", orjson.dumps({**body, "labels": {"tier": "x" * 100_000}}))

def sent(exporter):
    stages = exporter.encode(Batch([record]))
    return b"".join(bytes(request.body) for stage in stages for request in stage).decode()

stored = store.session(session.session_id, 100)
print(json.dumps({
    "record": body["labels"],
    "redacted": "labels" in seen,
    "truncated": len(truncate_record(large, 10_000).body),
    "otlp": sent(OTLPExporter()),
    "posthog": sent(PostHogExporter()),
    "humanloop": sent(HumanloopExporter()),
    "html": page(stored, {span.event_id: body}),
}))
"""


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    return blocks_of(REPO / "docs" / "extending" / "field.md")


def insert(path: Path, anchor: str, code: str, indent: int, *, after: bool = False) -> None:
    """Put code before (or after) the one place where ``anchor`` is."""
    source = path.read_text()
    assert source.count(anchor) == 1, (path, source.count(anchor))
    code = textwrap.indent(textwrap.dedent(code), " " * indent)
    path.write_text(source.replace(anchor, anchor + code if after else code + anchor))


def test_a_row_in_the_table_and_an_argument_make_a_field(
    blocks: dict[str, str], tmp_path: Path
) -> None:
    """The rest of the package follows the table."""
    unneeded = shutil.ignore_patterns("__pycache__")
    package = tmp_path / "sessiontrace"
    shutil.copytree(REPO / "sessiontrace", package, ignore=unneeded)
    table = "sessiontrace/model/fields.py"
    insert(tmp_path / table, '    Field("error"', blocks[table], 4)
    span = "sessiontrace/capture/span.py"
    last_argument = "        error: str | BaseException | None = None,\n    ) -> Self:\n"
    insert(tmp_path / span, last_argument, blocks[span], 8)
    last_merge = '            self.merge("user_properties", user_properties)\n'
    insert(tmp_path / span, last_merge, blocks[f"{span}, in the body"], 8, after=True)
    sections = "sessiontrace/server/static/js/views/step_detail.js"
    insert(tmp_path / sections, '  ["metadata", "Metadata"],\n', blocks[sections], 2)

    env = {"HOME": str(tmp_path), "SESSIONTRACE_STORE": str(tmp_path / "store.db")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={**env, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    assert shown["record"] == {"tier": "gold"}
    assert shown["redacted"]
    assert shown["truncated"] <= 10_000
    assert '"sessiontrace.labels.tier"' in shown["otlp"]
    assert '"labels":{"tier":"gold"}' in shown["posthog"]
    assert '"labels":{"tier":"gold"}' in shown["humanloop"]
    assert "<h3>labels</h3>" in shown["html"]
