"""The destination ``Opik``; a value."""

from __future__ import annotations

from typing import ClassVar

import attrs

from sessiontrace.model.destination import Env
from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

__all__ = ["VENDOR", "Opik"]


@attrs.frozen(kw_only=True)
class Opik(OTLPBackend):
    """Comet's Opik, in its cloud or self-hosted.

    ``api_key``: default ``OPIK_API_KEY``; a self-hosted Opik needs none. ``base_url``: default
    ``OPIK_URL_OVERRIDE``, else Comet's cloud. ``project``, ``workspace``: default
    ``OPIK_PROJECT_NAME`` and ``OPIK_WORKSPACE``, else Opik's own defaults. Source: Opik's
    documentation of its OpenTelemetry endpoint.
    """

    kind: ClassVar[str] = "opik"
    KEY_VARIABLE: ClassVar[str] = "OPIK_API_KEY"
    KEY_REQUIRED: ClassVar[bool] = False
    URL_VARIABLE: ClassVar[str] = "OPIK_URL_OVERRIDE"
    DEFAULT_URL: ClassVar[str] = "https://www.comet.com/opik/api"
    PROJECT_VARIABLE: ClassVar[str] = "OPIK_PROJECT_NAME"
    PATH: ClassVar[str] = "/v1/private/otel/v1/traces"

    workspace: str = ""

    def complete(self, env: Env) -> OTLPBackend:
        workspace = self.workspace or env.get("OPIK_WORKSPACE", "")
        return OTLPBackend.complete(attrs.evolve(self, workspace=workspace), env)

    def request_headers(self) -> dict[str, str]:
        headers = {} if self.api_key is None else {"Authorization": self.api_key.reveal()}
        if self.project:
            headers["projectName"] = self.project
        if self.workspace:
            headers["Comet-Workspace"] = self.workspace
        return headers


VENDOR = vendor_for(Opik)
