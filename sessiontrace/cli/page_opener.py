"""Opens the server's page in a browser, which is then logged in.

Every user of the machine can read the command line of the browser. Invariant: the token is not on
it: the browser opens a file that only its owner can read, and that leads to the page. The file is
removed after half a minute, or when the server ends.
"""

from __future__ import annotations

import contextlib
import html
import os
import tempfile
import threading
import webbrowser
from pathlib import Path
from urllib.parse import quote

from sessiontrace.model.secret import Secret

__all__ = ["PageOpener"]

_KEEP_S = 30.0


class PageOpener:
    """Opens pages, and owns the file that leads to one."""

    def __init__(self) -> None:
        self._file: Path | None = None

    def open(self, address: str, token: Secret | None) -> None:
        """Open the page at ``address``, logged in with ``token``."""
        if token is None:
            webbrowser.open(address)
            return
        # A browser sends no fragment to a server; the page removes it from the address bar.
        target = html.escape(f"{address}#token={quote(token.reveal(), safe='')}")
        descriptor, name = tempfile.mkstemp(prefix="sessiontrace-", suffix=".html")  # mode 0600
        self._file = Path(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={target}">')
        timer = threading.Timer(_KEEP_S, self.close)
        timer.daemon = True
        timer.start()
        webbrowser.open(self._file.as_uri())

    def close(self) -> None:
        """Remove the file."""
        path, self._file = self._file, None
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()
