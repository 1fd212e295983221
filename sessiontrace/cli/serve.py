"""``sessiontrace serve``: the local server in the foreground, until Ctrl-C or SIGTERM.

Invariant: it listens on loopback only, prints one line with its URL when it answers, and ends with
status 0 when it was told to stop, with one line and status 1 or 2 when it cannot start.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from sessiontrace.destinations import default_store
from sessiontrace.errors import StoreError

__all__ = ["DEFAULT_PORT", "run"]

DEFAULT_PORT = 4777


def run(arguments: Sequence[str]) -> int:
    """Serve as the arguments say; the exit status."""
    options = _parser().parse_args(arguments)
    from sessiontrace.server.app import serve
    from sessiontrace.server.guard import is_loopback
    from sessiontrace.server.writing import Retention

    if not is_loopback(options.host):
        return _cannot(
            2,
            f"--host {options.host} would show the sessions to other machines, and there is no "
            "password to keep them out; use 127.0.0.1, and `ssh -L` to reach it from elsewhere",
        )
    path = Path(options.db or default_store()).expanduser().absolute()

    def ready(url: str) -> None:
        print(f"sessiontrace is at {url} and shows {path} (Ctrl-C stops it)", flush=True)
        if options.open:
            webbrowser.open(url)

    try:
        retention = Retention(options.keep_days or None, options.keep_mib << 20 or None)
        asyncio.run(serve(path, options.host, options.port, _version(), ready, retention))
    except StoreError as error:
        return _cannot(1, str(error))
    except OSError as error:
        return _cannot(1, _why_not(error, options.host, options.port))
    except KeyboardInterrupt:  # before the signal was ours
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sessiontrace serve",
        description="Show the sessions of the local store in a browser.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 for any free one (%(default)s)"
    )
    parser.add_argument(
        "--db",
        metavar="PATH",
        help="the store's file (SESSIONTRACE_STORE, else in the user's data directory)",
    )
    parser.add_argument(
        "--keep-days",
        metavar="N",
        type=_amount,
        default=30,
        help="delete sessions that nothing was written to for so long, 0: never (%(default)s)",
    )
    parser.add_argument(
        "--keep-mib",
        metavar="N",
        type=_amount,
        default=2048,
        help="delete the oldest sessions above this size of the file, 0: never (%(default)s)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    return parser


def _amount(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("sessiontrace")
    except metadata.PackageNotFoundError:
        return "unknown"  # run from a folder that was never installed


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken (is a server running already?); name another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that this user lacks; name another with --port"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}"


def _cannot(status: int, reason: str) -> int:
    print(f"sessiontrace serve: {reason}", file=sys.stderr)
    return status
