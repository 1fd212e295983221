"""``sessiontrace serve``: the local server in the foreground, until Ctrl-C or SIGTERM.

Invariant: it listens on loopback, or asks for a token; it prints one line with its URL when it
answers, and ends with status 0 when it was told to stop, with one line and status 1 or 2 when it
cannot start.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from sessiontrace.cli.server_store_options import add_options, amount, stores_of
from sessiontrace.model.errors import StoreError
from sessiontrace.runtime.version import version

__all__ = ["DEFAULT_PORT", "run"]

DEFAULT_PORT = 4777

_IN_CLEAR = (
    "keys and sessions go over the network in clear; put a TLS proxy in front of it where others "
    "can listen"
)


def run(arguments: Sequence[str]) -> int:
    """Serve as the arguments say; the exit status."""
    options = _parser().parse_args(arguments)
    from sessiontrace.server.app import serve
    from sessiontrace.server.security.request_guard import is_loopback
    from sessiontrace.server.security.token_auth import TOKEN_ENV, TokenError, token_of
    from sessiontrace.server.store_writer import Retention

    try:
        token = token_of(options.token_file)
        stores = stores_of(options)
    except (TokenError, StoreError) as error:
        return _cannot(2, str(error))
    if options.keys and token is not None:
        return _cannot(2, "--keys and a token are two ways to let others in; give one of them")
    if token is None and not options.keys and not is_loopback(options.host):
        return _cannot(
            2,
            f"--host {options.host} would show the sessions to other machines: name a file for the "
            f"token that they must show (--token-file PATH, made if it is not there, or "
            f"{TOKEN_ENV}), ask for API keys (--keys), or use 127.0.0.1, and `ssh -L` to reach it "
            "from elsewhere",
        )

    def ready(url: str) -> None:
        place = options.token_file or TOKEN_ENV
        asked = stores.name + ("" if token is None else f" to whoever has the token in {place}")
        print(f"sessiontrace is at {url} and shows {asked} (Ctrl-C stops it)", flush=True)
        if not is_loopback(options.host):
            print(f"sessiontrace serve: {_IN_CLEAR}", file=sys.stderr, flush=True)
        if options.open:
            # Behind the # it is sent to no server and kept in no log; the page takes it away.
            webbrowser.open(url if token is None else f"{url}#token={quote(token.reveal())}")

    try:
        retention = Retention(options.keep_days or None, options.keep_mib << 20 or None)
        serving = serve(
            stores,
            options.host,
            options.port,
            version("unknown"),
            ready,
            retention,
            token,
            keys=options.keys,
        )
        asyncio.run(serving)
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
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="where to listen (%(default)s); what other machines reach needs a token",
    )
    parser.add_argument(
        "--token-file",
        metavar="PATH",
        type=Path,
        help="answer only who shows the token in this file, made if it is not there "
        "(SESSIONTRACE_SERVE_TOKEN)",
    )
    parser.add_argument(
        "--keys",
        action="store_true",
        help="answer only who shows an API key of a project (`sessiontrace keys add` makes them)",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 for any free one (%(default)s)"
    )
    add_options(parser)
    parser.add_argument(
        "--keep-days",
        metavar="N",
        type=amount,
        default=30,
        help="delete sessions that nothing was written to for so long, 0: never (%(default)s)",
    )
    parser.add_argument(
        "--keep-mib",
        metavar="N",
        type=amount,
        default=2048,
        help="delete the oldest sessions above this size of the file, 0: never (%(default)s)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    return parser


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken (is a server running already?); name another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that this user lacks; name another with --port"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}"


def _cannot(status: int, reason: str) -> int:
    print(f"sessiontrace serve: {reason}", file=sys.stderr)
    return status
