"""All benchmarks, one after the other; without --full small ones, to see that each runs.

With --full the figures go to ``benchmarks/results``, the plots to ``docs`` and all of it into
``benchmarks/RESULTS.md``. Without it they are written to a temporary folder and forgotten: figures
that small are worth nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import report

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "capture",
    "redaction",
    "streams",
    "instrument",
    "export",
    "lengths",
    "sessions",
    "scale",
    "outage",
    "jitter",
    "startup",
    "server",
    "dashboard",
)


def run(name: str, full: bool, results: Path, plots: Path) -> bool:
    """One script; whether it came through."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(results / f"{name}.json"),
               "--svg", str(plots / f"benchmark-{name}.svg")]  # fmt: skip
    begun = time.monotonic()
    if full:
        print(f"== {name}", flush=True)
        done = subprocess.run(command, check=False, text=True)
    else:
        done = subprocess.run([*command, "--quick"], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    said = "done" if done.returncode == 0 else "FAILED"
    took = time.monotonic() - begun
    print(f"{done.stdout or ''}-- {name}: {said}, {took:.0f} s\n", flush=True)
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the real figures")
    parser.add_argument("names", nargs="*", help=f"only these of {' '.join(SCRIPTS)}")
    options = parser.parse_args()
    names = options.names or SCRIPTS
    with tempfile.TemporaryDirectory() as scratch:
        results, plots = Path(scratch), Path(scratch)
        if options.full:
            results, plots = report.RESULTS, report.PLOTS
            results.mkdir(exist_ok=True)
        several = 1 if options.full else 2  # small figures may disturb each other
        with ThreadPoolExecutor(several) as pool:
            passed = pool.map(lambda name: run(name, options.full, results, plots), names)
            failed = [name for name, well in zip(names, passed, strict=True) if not well]
        report.written(report.read(results))
    if options.full:
        report.main()
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
