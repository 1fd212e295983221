"""How the requests of a destination travel: proxy and certificates; values, no thread owns them.

Precedence of the certificates to trust: ``ca_file=``, then the vendor's own variables. Without them
``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and ``REQUESTS_CA_BUNDLE`` count together: conda and Nix set the
first for every program. ``REQUESTS_CA_BUNDLE`` alone replaces the system's, as requests has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from sessiontrace.model.proxy import Proxy, proxy_of
from sessiontrace.model.secret import Secret, secret

if TYPE_CHECKING:  # it imports ssl, which most programs load later, in the sender's thread
    from sessiontrace.model.certificates import Certificates

__all__ = ["TLS_VARIABLES", "Network", "default_network"]

TLS_VARIABLES: Mapping[str, Sequence[str]] = {"ca_file": (), "client_cert": (), "client_key": ()}
"""A vendor's own variables for each argument, the first that is set wins."""


@attrs.frozen(kw_only=True)
class Network:
    """``proxy``: None for a direct connection.

    ``ca_file``, ``client_cert``, ``client_key``: a path and the argument or variable it is from.
    ``extra_authorities``: joined to the system's where there is no ``ca_file``.
    """

    proxy: Proxy | None = None
    ca_file: tuple[Path, str] | None = None
    extra_authorities: tuple[tuple[Path, str], ...] = ()
    client_cert: tuple[Path, str] | None = None
    client_key: tuple[Path, str] | None = None

    @classmethod
    def of(
        cls,
        url: str,
        env: Mapping[str, str],
        *,
        proxy: str | Secret | None = None,
        variables: Mapping[str, Sequence[str]] = TLS_VARIABLES,
        **files: str | Path | None,
    ) -> Network:
        """The way to ``url`` by arguments and environment."""
        chosen = {
            name: _file(files.get(name), name, env, variables[name]) for name in TLS_VARIABLES
        }
        extra: tuple[tuple[Path, str], ...] = ()
        if chosen["ca_file"] is None and url.startswith("https"):
            system = [_file(None, "", env, [name]) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
            extra = tuple(file for file in system if file is not None)
            bundle = _file(None, "", env, ["REQUESTS_CA_BUNDLE"])
            if not extra:
                chosen["ca_file"] = bundle
            elif bundle is not None and bundle[0] not in {path for path, _ in extra}:
                extra = (*extra, bundle)
        return cls(proxy=proxy_of(url, secret(proxy), env), extra_authorities=extra, **chosen)

    def certificates(self) -> Certificates:
        """The files for TLS."""
        from sessiontrace.model.certificates import Certificates, PemFile

        def pem(file: tuple[Path, str] | None) -> PemFile | None:
            return None if file is None else PemFile(*file)

        return Certificates(
            pem(self.ca_file),
            tuple(PemFile(*file) for file in self.extra_authorities),
            pem(self.client_cert),
            pem(self.client_key),
        )

    def faults(self) -> list[str]:
        """What cannot be used, one sentence each, with the argument or variable to correct."""
        faults = [self.proxy.fault] if self.proxy is not None and self.proxy.fault else []
        if self.ca_file or self.extra_authorities or self.client_cert or self.client_key:
            from sessiontrace.model.certificates import CertificatesError

            try:
                self.certificates().check()
            except CertificatesError as error:
                faults.append(str(error))
        return faults


default_network: ContextVar[Network | None] = ContextVar("sessiontrace_network", default=None)
"""What a transport uses that its vendor makes without naming a network."""


def _file(
    argument: Any, name: str, env: Mapping[str, str], variables: Sequence[str]
) -> tuple[Path, str] | None:
    if argument is not None:
        return Path(argument).expanduser(), f"{name}="
    for variable in variables:
        if text := env.get(variable, "").strip():
            return Path(text).expanduser(), variable
    return None
