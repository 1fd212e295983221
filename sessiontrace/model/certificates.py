"""The certificates of a connection: authorities to trust, and the client's own; values.

No thread owns them; files are read when a configuration is checked and when a transport connects.
Invariants: a fault names the argument or variable to correct, and no fault shows what a file holds.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

import attrs

__all__ = ["Certificates", "CertificatesError", "PemFile"]


_HEAD = 64 << 10
_OF_OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that OpenSSL reads itself, from the environment of the process."""
_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class CertificatesError(ValueError):
    """A file of certificates or keys that cannot be used; the text says which and why."""


@attrs.frozen
class PemFile:
    """A file, and the argument or variable that names it."""

    path: Path
    source: str

    def __str__(self) -> str:
        return f"{self.source} {str(self.path)!r}"


@attrs.frozen
class Certificates:
    """``trusted``: replaces the system's authorities. ``additional``: joins them.

    ``client_cert`` may hold the key too; then ``client_key`` is None.
    """

    trusted: PemFile | None = None
    additional: tuple[PemFile, ...] = ()
    client_cert: PemFile | None = None
    client_key: PemFile | None = None

    def context(self) -> ssl.SSLContext | None:
        """TLS settings with these files, None where there are none; or ``CertificatesError``."""
        if not (self.trusted or self.additional or self.client_cert or self.client_key):
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.trusted is None:
            context = ssl.create_default_context()
            self._load_client(context)
            for file in self.additional:
                text = os.environ.get(file.source) if file.source in _OF_OPENSSL else None
                if text != str(file.path):
                    _trust(context, file)
        else:
            self.load(context)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def check(self) -> None:
        """``CertificatesError`` where a file cannot be used. Of a bundle, one certificate is read:
        all those of a system take 50 ms, and every ``init`` checks.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for file in (self.trusted, *self.additional):
            if file is not None and not file.path.is_dir():
                _check_bundle(context, file)
        self._load_client(context)

    def load(self, context: ssl.SSLContext) -> None:
        """Read the files into a context: again, where their owner may have renewed them."""
        for file in (self.trusted, *self.additional):
            if file is not None:
                _trust(context, file)
        self._load_client(context)

    def _load_client(self, context: ssl.SSLContext) -> None:
        cert, key = self.client_cert, self.client_key
        if cert is None:
            if key is not None:
                raise CertificatesError(f"{key} needs a certificate beside it; pass client_cert=")
            return
        for file in (cert, key):
            if file is not None:
                _check_readable(file)
        encrypted: list[bool] = []

        def password() -> str:  # without it, OpenSSL would ask on the terminal
            encrypted.append(True)
            return ""

        try:
            context.load_cert_chain(cert.path, key.path if key else None, password)
        except (OSError, ValueError) as error:
            raise CertificatesError(_client_fault(error, cert, key, bool(encrypted))) from None


def _client_fault(error: Exception, cert: PemFile, key: PemFile | None, encrypted: bool) -> str:
    if encrypted:
        return f"{key or cert}: the key is encrypted; store it without a passphrase"
    if "MISMATCH" in (getattr(error, "reason", None) or ""):
        return f"{key or cert}: the key is not that of the certificate {str(cert.path)!r}"
    if key is None:
        return f"{cert} is not a PEM file with a certificate and its key; pass client_key= too"
    return f"{cert} and {key} are not a certificate and its key in PEM form"


def _trust(context: ssl.SSLContext, file: PemFile) -> None:
    if file.path.is_dir():
        context.load_verify_locations(capath=file.path)
        return
    _check_readable(file)
    try:
        context.load_verify_locations(cafile=file.path)
    except (OSError, ValueError):
        raise CertificatesError(f"{file} does not hold certificates in PEM form") from None


def _check_bundle(context: ssl.SSLContext, file: PemFile) -> None:
    _check_readable(file)
    with file.path.open("rb") as stream:
        head = stream.read(_HEAD)
    block = _CERTIFICATE.search(head)
    if block is None and len(head) == _HEAD:
        return _trust(context, file)
    try:
        context.load_verify_locations(cadata=(block[0] if block else b"").decode("ascii"))
    except (OSError, ValueError):
        raise CertificatesError(f"{file} does not hold certificates in PEM form") from None
    return None


def _check_readable(file: PemFile) -> None:
    try:
        with file.path.open("rb"):
            pass
    except FileNotFoundError:
        raise CertificatesError(f"{file} does not exist; correct the path") from None
    except OSError as error:
        raise CertificatesError(f"{file} cannot be read ({type(error).__name__})") from None
