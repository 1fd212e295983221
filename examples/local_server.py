"""The local server as a context manager, for the other examples: its own process, its own store."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def local_server() -> Iterator[str]:
    """The URL of a server that speaks all vendors' APIs, up while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store.db")
        command = [sys.executable, "-m", "sessiontrace", "serve", "--port", "0", "--db", store]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                match = re.search(r"http://\S+", line)
                if match is None:
                    raise RuntimeError(f"the server did not start: {line}")
                yield match.group().rstrip("/")
            finally:
                process.terminate()
