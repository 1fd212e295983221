"""The destination ``Logfire``; a value."""

from __future__ import annotations

from typing import ClassVar

import attrs

from sessiontrace.model.destination import Env
from sessiontrace.model.secret import Secret, secret
from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

__all__ = ["VENDOR", "Logfire"]

_EUROPE = "pylf_v1_eu_"


@attrs.frozen(kw_only=True)
class Logfire(OTLPBackend):
    """Pydantic's Logfire.

    ``token``: a write token; default ``LOGFIRE_TOKEN``. ``base_url``: default ``LOGFIRE_BASE_URL``,
    else the region that the token names. Source: Logfire's documentation for other clients.
    """

    kind: ClassVar[str] = "logfire"
    KEY_VARIABLE: ClassVar[str] = "LOGFIRE_TOKEN"
    KEY_ARGUMENT: ClassVar[str] = "token"
    URL_VARIABLE: ClassVar[str] = "LOGFIRE_BASE_URL"
    DEFAULT_URL: ClassVar[str] = "https://logfire-us.pydantic.dev"
    LOGS_PATH: ClassVar[str] = "/v1/logs"

    api_key: Secret | None = attrs.field(default=None, converter=secret, alias="token")

    def complete(self, env: Env) -> OTLPBackend:
        token = self.api_key or secret(env.get(self.KEY_VARIABLE))
        base_url = self.base_url or env.get(self.URL_VARIABLE) or ""
        if not base_url and token is not None and token.reveal().startswith(_EUROPE):
            base_url = "https://logfire-eu.pydantic.dev"
        return OTLPBackend.complete(attrs.evolve(self, token=token, base_url=base_url), env)

    def request_headers(self) -> dict[str, str]:
        assert self.api_key is not None  # it is complete
        return {"Authorization": self.api_key.reveal()}


VENDOR = vendor_for(Logfire)
