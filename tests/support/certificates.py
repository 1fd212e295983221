"""A private authority with a server's and a client's certificate, in files."""

from __future__ import annotations

import ssl
from pathlib import Path

import attrs
import trustme

__all__ = ["Authority", "make_authority"]

HOSTS = ("backend.invalid", "127.0.0.1", "localhost")


@attrs.frozen
class Authority:
    """``ca``: its certificate. ``cert`` and ``key``: the client's. ``server``: TLS for a backend.

    ``strict_server`` wants a client certificate of this authority.
    """

    ca: Path
    cert: Path
    key: Path
    server: ssl.SSLContext
    strict_server: ssl.SSLContext


def make_authority(folder: Path) -> Authority:
    """A new authority, its files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    ca, cert, key = (folder / name for name in ("ca.pem", "client.pem", "client.key"))
    authority.cert_pem.write_to_path(str(ca))
    client = authority.issue_cert("client@sessiontrace.invalid")
    client.cert_chain_pems[0].write_to_path(str(cert))
    client.private_key_pem.write_to_path(str(key))
    contexts = []
    for verify in (ssl.CERT_NONE, ssl.CERT_REQUIRED):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*HOSTS).configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = verify
        contexts.append(context)
    return Authority(ca, cert, key, *contexts)
