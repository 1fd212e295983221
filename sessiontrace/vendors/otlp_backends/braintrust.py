"""The destination ``Braintrust``; a value."""

from __future__ import annotations

from typing import ClassVar

import attrs

from sessiontrace.vendors.otlp_backends.backend import OTLPBackend, vendor_for

__all__ = ["VENDOR", "Braintrust"]


@attrs.frozen(kw_only=True)
class Braintrust(OTLPBackend):
    """Braintrust.

    ``api_key``: default ``BRAINTRUST_API_KEY``. ``base_url``: default ``BRAINTRUST_API_URL``, else
    Braintrust's cloud. ``project``: a project's name, or a parent such as ``project_id:...``;
    default ``BRAINTRUST_PARENT``. Source: Braintrust's documentation of its OpenTelemetry endpoint.
    """

    kind: ClassVar[str] = "braintrust"
    KEY_VARIABLE: ClassVar[str] = "BRAINTRUST_API_KEY"
    URL_VARIABLE: ClassVar[str] = "BRAINTRUST_API_URL"
    DEFAULT_URL: ClassVar[str] = "https://api.braintrust.dev"
    PROJECT_VARIABLE: ClassVar[str] = "BRAINTRUST_PARENT"
    PATH: ClassVar[str] = "/otel/v1/traces"

    def faults(self) -> list[str]:
        faults = super().faults()
        if not self.project:
            faults.append(
                f"{self.name}: no project; pass project= or set {self.PROJECT_VARIABLE}, such as "
                "project_name:my-project"
            )
        return faults

    def request_headers(self) -> dict[str, str]:
        parent = self.project if ":" in self.project else f"project_name:{self.project}"
        return {**super().request_headers(), "x-bt-parent": parent}


VENDOR = vendor_for(Braintrust)
