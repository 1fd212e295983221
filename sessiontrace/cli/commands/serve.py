"""``sessiontrace serve``: the local server in the foreground, until Ctrl-C or SIGTERM.

Invariant: it listens on loopback unless it requires a token or API keys. It prints one line with
its URL when it is ready; it exits with status 0 after a signal, with 1 or 2 when it cannot start.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sessiontrace.cli.page_opener import PageOpener
from sessiontrace.cli.store_options import db_option, stores_of, url_option
from sessiontrace.pricing.prices import Prices, parse_prices
from sessiontrace.runtime.version import version
from sessiontrace.text.format import printable

if TYPE_CHECKING:
    from sessiontrace.model.secret import Secret
    from sessiontrace.store.media.limits import MediaLimits

__all__ = ["command"]

_DEFAULT_PORT = 4777
_MOST = 999_999_999
_PRICES_ENV = "SESSIONTRACE_PRICES"

_KEYS_PLACE = " to clients with an API key, which `sessiontrace keys add` makes"
_UNENCRYPTED = (
    "Warning: the connection is not encrypted. Put a TLS proxy in front of the server where others "
    "can read the network."
)


@click.command("serve")
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. An address that other machines reach needs --token-file or --keys.",
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=_DEFAULT_PORT,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--grpc-port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    help="Take OTLP over gRPC on this port too, by convention 4317; needs sessiontrace[grpc].",
)
@click.option(
    "--token-file",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Require the token in this file, which is created if missing. SESSIONTRACE_SERVE_TOKEN "
    "holds a token instead.",
)
@click.option("--keys", is_flag=True, help="Require API keys, which `sessiontrace keys` manages.")
@db_option
@url_option
@click.option(
    "--keep-days",
    metavar="N",
    type=click.IntRange(0, _MOST),
    help="Delete sessions that were idle for N days; 0 keeps all. Default: what the page or an "
    "earlier server has set, else 30.",
)
@click.option(
    "--keep-mib",
    metavar="N",
    type=click.IntRange(0, _MOST),
    help="Delete the oldest sessions while the store file is larger than N MiB; 0 keeps all. "
    "Default: what the page or an earlier server has set, else 2048.",
)
@click.option(
    "--media",
    type=click.Choice(["keep", "digest"]),
    default="keep",
    show_default=True,
    help="Store the images, sounds and files in what is received, or their type, size and SHA-256 "
    "only. SESSIONTRACE_MEDIA_ITEM and SESSIONTRACE_MEDIA_TOTAL are the most bytes of one and of "
    "all.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
def command(
    host: str,
    port: int,
    grpc_port: int | None,
    token_file: Path | None,
    keys: bool,
    db: Path | None,
    url: str | None,
    keep_days: int | None,
    keep_mib: int | None,
    media: str,
    open_page: bool,
) -> None:
    """Show the sessions of a store in a browser.

    Serves the local store, or one in ClickHouse, as a page and through the vendors' own HTTP APIs.
    """
    from sessiontrace.server.apis.otlp.grpc_server import GrpcUnavailableError
    from sessiontrace.server.app import serve
    from sessiontrace.server.security.request_guard import is_loopback
    from sessiontrace.store.retention import RetentionChange

    token = _token_of(token_file)
    _check_access(host, token, keys)
    stores = stores_of(db, url)

    def ready(address: str, bound: int | None) -> None:
        place = _KEYS_PLACE if keys else ""
        if token is not None:
            place = f" to clients with the token in {_place_of(token_file)}"
        grpc = "" if bound is None else f", OTLP over gRPC on port {bound}"
        print(f"Serving {stores.name} at {address}{grpc}{place} (Ctrl-C to stop)", flush=True)
        if not is_loopback(host):
            print(_UNENCRYPTED, file=sys.stderr, flush=True)
        if open_page:
            opener.open(address, token)

    opener = PageOpener()
    retention = RetentionChange(
        None if keep_days is None else float(keep_days),
        None if keep_mib is None else keep_mib << 20,
    )
    serving = serve(
        stores,
        host,
        port,
        version(),
        ready,
        retention,
        token,
        keys=keys,
        prices=_prices(),
        grpc_port=grpc_port,
        media_limits=_media_limits() if media == "keep" else None,
    )
    try:
        asyncio.run(serving)
    except GrpcUnavailableError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.ENOSPC, errno.EFBIG):  # of the output
            raise
        raise click.ClickException(_explained(error, printable(host), port)) from error
    except KeyboardInterrupt:  # before the server handles the signal
        pass
    finally:
        opener.close()


def _media_limits() -> MediaLimits:
    """The most bytes of a medium and of all, from the environment."""
    from sessiontrace.store.media.limits import ITEM_ENV, TOTAL_ENV, is_bytes, limits_of

    limits = limits_of(os.environ)
    for name, value in ((ITEM_ENV, limits.item_bytes), (TOTAL_ENV, limits.total_bytes)):
        if not is_bytes(value):
            raise click.UsageError(
                f"{name}={value!r} must be a whole number of bytes above 0; --media digest stores "
                "no media"
            )
    return limits


def _prices() -> Prices:
    """The program's own prices, from ``SESSIONTRACE_PRICES``."""
    raw = os.environ.get(_PRICES_ENV)
    try:
        return parse_prices(raw, "prices") if raw else Prices()
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"{_PRICES_ENV}: {error}") from error


def _token_of(file: Path | None) -> Secret | None:
    from sessiontrace.server.security.token_auth import TokenError, load_token

    try:
        return load_token(file)
    except TokenError as error:
        raise click.UsageError(str(error)) from error


def _place_of(file: Path | None) -> str:
    from sessiontrace.server.security.token_auth import TOKEN_ENV

    return TOKEN_ENV if file is None else str(file)


def _check_access(host: str, token: Secret | None, keys: bool) -> None:
    """A usage error for a server that would be open to other machines, or that has two doors."""
    from sessiontrace.server.security.request_guard import is_loopback
    from sessiontrace.server.security.token_auth import TOKEN_ENV

    if keys and token is not None:
        raise click.UsageError("--keys and a token exclude each other: use one of them")
    if token is None and not keys and not is_loopback(host):
        raise click.UsageError(
            f"--host {host} lets other machines read the sessions: require a token (--token-file "
            f"PATH, created if missing, or {TOKEN_ENV}) or API keys (--keys), or listen on "
            "127.0.0.1 and forward the port with `ssh -L`"
        )


def _explained(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken, maybe by another server; choose another one with --port"
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {port}; choose another one with --port"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}"
