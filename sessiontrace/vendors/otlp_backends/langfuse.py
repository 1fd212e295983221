"""The destination ``Langfuse``; a value."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

import attrs

from sessiontrace.model.destination import Env, key_faults
from sessiontrace.model.secret import Secret, secret
from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

__all__ = ["VENDOR", "Langfuse"]


@attrs.frozen(kw_only=True)
class Langfuse(OTLPBackend):
    """Langfuse, in its cloud or self-hosted.

    ``public_key``, ``secret_key``: of the project; default ``LANGFUSE_PUBLIC_KEY`` and
    ``LANGFUSE_SECRET_KEY``. ``base_url``: default ``LANGFUSE_BASE_URL``, else ``LANGFUSE_HOST``,
    else Langfuse's EU cloud. Source: Langfuse's documentation of its OpenTelemetry endpoint.
    """

    kind: ClassVar[str] = "langfuse"
    KEY_VARIABLE: ClassVar[str] = "LANGFUSE_SECRET_KEY"
    KEY_ARGUMENT: ClassVar[str] = "secret_key"
    URL_VARIABLE: ClassVar[str] = "LANGFUSE_BASE_URL"
    DEFAULT_URL: ClassVar[str] = "https://cloud.langfuse.com"
    PATH: ClassVar[str] = "/api/public/otel/v1/traces"

    api_key: Secret | None = attrs.field(default=None, converter=secret, alias="secret_key")
    public_key: Secret | None = attrs.field(default=None, converter=secret)

    def complete(self, env: Env) -> OTLPBackend:
        public_key = self.public_key or secret(env.get("LANGFUSE_PUBLIC_KEY"))
        base_url = self.base_url or env.get(self.URL_VARIABLE) or env.get("LANGFUSE_HOST") or ""
        return OTLPBackend.complete(
            attrs.evolve(self, public_key=public_key, base_url=base_url), env
        )

    def faults(self) -> list[str]:
        faults = super().faults()
        return [
            *faults,
            *key_faults(self.name, "public_key", self.public_key, "LANGFUSE_PUBLIC_KEY"),
        ]

    def request_headers(self) -> dict[str, str]:
        assert self.api_key is not None  # it is complete
        assert self.public_key is not None
        pair = f"{self.public_key.reveal()}:{self.api_key.reveal()}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def translate(self, attributes: dict[str, Any]) -> None:
        if "tag.tags" in attributes:
            attributes["langfuse.trace.tags"] = attributes["tag.tags"]


VENDOR = vendor_for(Langfuse)
