"""Distributions installed for one test: a module, and the entry points that its metadata names.

install(tmp_path, "acme_tracing", SOURCE, {"acme": "acme_tracing:VENDOR"})
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SMALL_VENDOR = '''
"""A vendor as a third party writes it: one module."""
from typing import ClassVar

import attrs

from sessiontrace.export.protocol import Limits, Request, judge_http
from sessiontrace.model.destination import HttpDestination
from sessiontrace.vendors.probe import HttpProbe
from sessiontrace.vendors.vendor import Vendor, VendorParts


@attrs.frozen(kw_only=True)
class Acme(HttpDestination):
    kind: ClassVar[str] = "acme"
    KEY_VARIABLE: ClassVar[str] = "ACME_API_KEY"
    URL_VARIABLE: ClassVar[str] = "ACME_URL"
    DEFAULT_URL: ClassVar[str] = "https://api.acme.example"


class AcmeExporter:
    limits = Limits()

    def encode(self, batch):
        body = b"[%b]" % b",".join(record.body for record in batch.records)
        return [[Request("POST", "/records", body, tuple(range(len(batch.records))))]]

    def interpret(self, request, reply):
        return judge_http(reply)


def connect(destination, services):
    def transport():
        from sessiontrace.export.http_transport import HttpTransport

        return HttpTransport(destination.base_url, destination.api_key)

    return VendorParts(AcmeExporter(), transport)


def probe(destination):
    return HttpProbe(
        url=destination.base_url,
        request=Request("GET", "/me", b"", ()),
        url_variable=destination.URL_VARIABLE,
        key_variable=destination.KEY_VARIABLE,
    )


VENDOR = Vendor(destination=Acme, connect=connect, probe=probe)
'''


def install(directory: Path, name: str, source: str, entry_points: Mapping[str, str]) -> Path:
    """Put a distribution of one module into a directory, as an installer does."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.py").write_text(source)
    metadata = directory / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {value}" for point, value in entry_points.items()]
    text = "\n".join(["[sessiontrace.vendors]", *lines, ""])
    (metadata / "entry_points.txt").write_text(text)
    return directory
