"""Run a program with the Python form of everything: the tests, or a benchmark.

python tools/pure.py -m pytest tests/unit
python tools/pure.py benchmarks/capture.py
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

COMPILED = (
    "sessiontrace.capture.encoding._fast_path_c",
    "sessiontrace.capture.encoding._record_body_c",
    "sessiontrace.capture.redaction._patterns_c",
    "sessiontrace.spool._frame_c",
)


def main() -> None:
    sys.modules.update(dict.fromkeys(COMPILED))  # None: importing it fails
    program = sys.argv[1:]
    if program[:1] == ["-m"] and len(program) > 1:
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    elif program:
        sys.argv = program
        sys.path[0] = str(Path(program[0]).resolve().parent)
        runpy.run_path(program[0], run_name="__main__")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
