"""What the destinations of OTLP backends share: address, key, project, and the exporter.

Values and pure functions; no thread owns them. Invariant: a backend is used only where the program
names it: its key in the environment, which other products of the vendor may have put there, selects
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import attrs

from sessiontrace.export.protocol import Request
from sessiontrace.model.destination import Env, HttpDestination
from sessiontrace.model.ids import new_id
from sessiontrace.model.later_types import later
from sessiontrace.vendors.otlp.connection import Address, connection, no_spans
from sessiontrace.vendors.probe import HttpProbe
from sessiontrace.vendors.vendor import PipelineServices, Vendor, VendorParts

if TYPE_CHECKING:
    from sessiontrace.vendors.otlp.score_requests import ScoreRequests
else:
    ScoreRequests = later("sessiontrace.vendors.otlp.score_requests", "ScoreRequests")

__all__ = ["OTLPBackend", "vendor_for"]

B = TypeVar("B", bound="OTLPBackend")


@attrs.frozen(kw_only=True)
class OTLPBackend(HttpDestination):
    """A backend with a key and address of its own that takes OTLP over HTTP, in protobuf.

    ``project``: where the traces go there. ``gzip``: compress requests to a third of the bytes, for
    some 15 us of CPU an event.
    """

    PATH: ClassVar[str] = "/v1/traces"
    PROJECT_VARIABLE: ClassVar[str] = ""
    LOGS_PATH: ClassVar[str] = ""
    """Where the backend takes log events, such as scores; empty: nowhere."""
    SCORE_TYPE: ClassVar[str] = ""
    """The content type of an API of its own for scores."""

    project: str = ""
    gzip: bool = False

    def complete(self, env: Env) -> OTLPBackend:
        complete = attrs.evolve(self, project=self.project or env.get(self.PROJECT_VARIABLE, ""))
        return HttpDestination.complete(complete, env)  # type: ignore[return-value]

    def identity(self) -> tuple[str, str]:
        key, url = super().identity()
        return key, f"{url} {self.project}" if self.project else url

    def request_headers(self) -> dict[str, str]:
        """The headers of each request."""
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key.reveal()}"}

    def resource(self) -> dict[str, str]:
        """Attributes that the backend reads from the resource."""
        return {}

    def scores(self, resource: Mapping[str, str]) -> ScoreRequests | None:
        """Where scores go besides their spans; None: nowhere. ``resource``: that of the spans."""
        if not self.LOGS_PATH:
            return None
        from sessiontrace.vendors.otlp.evaluations import EvaluationRequests

        return EvaluationRequests(resource, protobuf=True, path=self.LOGS_PATH)

    def translate(self, attributes: dict[str, Any]) -> None:
        """Add what the backend reads under names of its own."""


def vendor_for(destination: type[B]) -> Vendor[B]:
    """The vendor of a class of destinations."""
    return Vendor(destination=destination, connect=_connect, probe=_probe)


def _connect(destination: OTLPBackend, services: PipelineServices) -> VendorParts:
    from sessiontrace.vendors.otlp.exporter import OTLPExporter

    resource = {"service.instance.id": new_id(), **destination.resource()}
    scores = destination.scores(resource)
    translates = type(destination).translate is not OTLPBackend.translate
    exporter = OTLPExporter(
        destination.PATH,
        protobuf=True,
        resource=resource,
        translate=destination.translate if translates else None,
        scores=scores,
    )
    headers, network = destination.request_headers(), destination.network
    api = Address(destination.base_url, headers, network, content_type=destination.SCORE_TYPE)
    return connection(
        exporter,
        Address(destination.base_url, headers, network),
        None if scores is None else api,
        gzip=destination.gzip,
    )


def _probe(destination: OTLPBackend) -> HttpProbe:
    return HttpProbe(
        url=destination.base_url,
        request=Request("POST", destination.PATH, no_spans(protobuf=True), ()),
        url_variable=destination.URL_VARIABLE,
        key_variable=destination.KEY_VARIABLE,
    )
