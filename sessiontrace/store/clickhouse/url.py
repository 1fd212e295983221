"""The address of a ClickHouse store: parses and checks ``clickhouse://user@host/database``.

Pure values, no thread owns them. Invariant: only the connection reads the password, and database
and cluster are plain names, so that statements may contain them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import attrs

from sessiontrace.model.errors import StoreError
from sessiontrace.model.secret import Secret

__all__ = ["PASSWORD", "SCHEMES", "Address", "parse"]

PASSWORD = "SESSIONTRACE_CLICKHOUSE_PASSWORD"  # noqa: S105 - the variable's name
"""The variable that holds the password: every user can read a URL on a command line."""

SCHEMES = ("clickhouse", "clickhouses")
"""ClickHouse's HTTP interface, without and with TLS."""

_PORTS = {"clickhouse": 8123, "clickhouses": 8443}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_OPTIONS = frozenset({"cluster"})


@attrs.frozen
class Address:
    """A database of a ClickHouse server; ``cluster`` names the cluster of its tables."""

    host: str
    port: int
    database: str
    user: str
    password: Secret
    secure: bool
    cluster: str | None

    def __str__(self) -> str:
        """The address without user and password."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEMES[self.secure]}://{name}:{self.port}/{self.database}"


def parse(url: str, environ: Mapping[str, str] = os.environ) -> Address:
    """The address that ``url`` names; ``StoreError`` says what is wrong with it.

    ``clickhouse://[user[:password]@]host[:port]/database[?cluster=name]``; ``clickhouses`` for
    TLS. Defaults: user "default", port 8123, with TLS 8443; the password of ``environ``.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise StoreError(f"a store's URL begins with {' or '.join(f'{s}://' for s in SCHEMES)}")
    database = parts.path.strip("/")
    if not _NAME.fullmatch(database):
        raise StoreError(f"{parts.scheme}://... must end with a database's name, as in host/traces")
    return Address(
        host=parts.hostname or "localhost",
        port=_port(parts),
        database=database,
        user=unquote(parts.username or "default"),
        password=Secret(unquote(parts.password or "") or environ.get(PASSWORD, "")),
        secure=parts.scheme == SCHEMES[1],
        cluster=_cluster(parts.query),
    )


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise StoreError("the port in the store's URL must be a number below 65536") from error


def _cluster(query: str) -> str | None:
    options = parse_qs(query)
    if unknown := sorted(set(options) - _OPTIONS):
        raise StoreError(f"unknown option {unknown[0]!r} in the store's URL; there is cluster=name")
    cluster = options.get("cluster", [None])[-1]
    if cluster is not None and not _NAME.fullmatch(cluster):
        raise StoreError("cluster= in the store's URL must be a cluster's name")
    return cluster
