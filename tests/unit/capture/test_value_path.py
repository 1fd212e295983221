"""The path of one value from ``span.set`` to the spool, as ``docs/architecture.md`` shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMPILED = [
    "sessiontrace.capture.encoding._fast_path_c",
    "sessiontrace.capture.encoding._record_body_c",
    "sessiontrace.capture.redaction._patterns_c",
    "sessiontrace.spool._frame_c",
]
PATH = [
    "capture/span.py",
    "capture/encoding/_fast_path_py.py",
    "capture/redaction/clean_text_cache.py",
    "capture/redaction/_patterns_py.py",
    "capture/span.py",  # the end of the block
    "capture/encoding/_record_body_py.py",
    "spool/spool.py",
    "spool/_frame_py.py",
]
PROGRAM = """
import sys
sys.modules.update(dict.fromkeys({compiled}))  # None: importing it fails
import gc, os, sessiontrace as st

root = os.path.dirname(st.__file__) + os.sep
left_out = ("ids.py", "reentrant_lock.py")
files = []

def profile(frame, event, argument):
    file = frame.f_code.co_filename
    if event == "call" and file.startswith(root) and not file.endswith(left_out):
        if files[-1:] != [file[len(root):]]:
            files.append(file[len(root):])

st.init(st.Local(path={store!r}), spool={spool!r}, exit_timeout=0.1)
with st.session("warm"), st.span("warm"):
    pass
gc.disable()  # a collection would run our callback
with st.session("agent"), st.span("step") as span:
    sys.setprofile(profile)
    span.set(inputs={{"question": "where is the harbour?"}})
    span.end()
    sys.setprofile(None)
print(*files)
"""


@pytest.mark.slow
def test_a_plain_value_visits_seven_files(tmp_path: Path) -> None:
    """In Python forms, with a new key and a new text; one file is visited twice. The clock and the
    lock, which see nothing of the value, are left out."""
    program = PROGRAM.format(
        compiled=COMPILED, store=str(tmp_path / "store.db"), spool=str(tmp_path / "spool")
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.replace("\\", "/").split() == PATH
    assert len(set(PATH)) == 7
