"""Run a program with the Python form of everything: the tests, or a benchmark.

python tools/pure.py -m pytest tests/unit
python tools/pure.py benchmarks/capture.py
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def compiled_modules() -> list[str]:
    """The names of all modules that a build compiles."""
    repo = Path(__file__).resolve().parent.parent
    sources = repo.glob("sessiontrace/**/_*_c.pyx")
    return [".".join(path.relative_to(repo).with_suffix("").parts) for path in sources]


def main() -> None:
    sys.modules.update(dict.fromkeys(compiled_modules()))  # None: importing it fails
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
