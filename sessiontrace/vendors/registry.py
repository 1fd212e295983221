"""Vendors by name: the built-in ones, and those of installed plug-ins.

Called while a configuration is read and a pipeline is made, in the user's thread. Invariants: a
vendor that no configuration uses is not imported; the installed distributions are searched only for
a name that is not built in; a plug-in that fails raises ``VendorError`` and nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sessiontrace.export.protocol import Transport
from sessiontrace.model.destination import Destination, Env
from sessiontrace.model.errors import VendorError
from sessiontrace.model.network import default_network
from sessiontrace.vendors.vendor import PipelineServices, Vendor, VendorParts

if TYPE_CHECKING:  # 10 ms that a program without plug-ins does not spend
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "check", "connect", "find", "names", "names_from_keys", "vendor_of"]

GROUP = "sessiontrace.vendors"
"""The entry point group: ``name = "package.module:VENDOR"``."""

_OTLP_BACKENDS = (
    "langfuse", "phoenix", "langsmith", "braintrust", "opik", "logfire", "mlflow", "datadog",
    "honeycomb",
)  # fmt: skip
"""Backends that take OTLP. No variable selects one: other products share their keys."""

_BUILT_IN: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "honeyhive": (("HH_API_KEY",),),
    "humanloop": (("HUMANLOOP_API_KEY", "HUMANLOOP_BASE_URL"),),
    "posthog": (("POSTHOG_API_KEY",),),
    "otlp": (("OTEL_EXPORTER_OTLP_ENDPOINT",), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",)),
    "local": (),
    **dict.fromkeys(_OTLP_BACKENDS, ()),
}
"""The built-in vendors, and the variables that select each where no destination is named.

All variables of any one group select it.

The variables are here, not in the vendors' packages, so that selecting imports none of them. A
plug-in is used only where it is named: installing a package sends no data anywhere.
"""

_DEFAULT = "local"


def names() -> tuple[str, ...]:
    """All names that ``find`` knows, the built-in ones first."""
    return (*_BUILT_IN, *sorted({entry.name for entry in _entry_points()} - _BUILT_IN.keys()))


def names_from_keys(env: Env) -> tuple[str, ...]:
    """The built-in vendors whose variables are all set; "local" where there is none.

    ``OTEL_TRACES_EXPORTER=none`` says that OTLP is not wanted.
    """
    excluded = "otlp" if env.get("OTEL_TRACES_EXPORTER", "").strip() == "none" else ""
    selected = tuple(
        name
        for name, groups in _BUILT_IN.items()
        if name != excluded and any(all(map(env.get, variables)) for variables in groups)
    )
    return selected or (_DEFAULT,)


def find(name: str) -> Vendor[Any]:
    """The vendor of that name; ``VendorError`` when there is none or its plug-in fails."""
    if name in _BUILT_IN:
        package = f"{GROUP}.otlp_backends" if name in _OTLP_BACKENDS else GROUP
        vendor: Vendor[Any] = importlib.import_module(f"{package}.{name}").VENDOR
        return vendor
    entries = {entry.value: entry for entry in _entry_points() if entry.name == name}
    if not entries:
        raise VendorError(f"unknown destination {name!r}; known are {', '.join(names())}")
    if len(entries) > 1:
        packages = " and ".join(sorted(map(_origin, entries.values())))
        raise VendorError(f"destination {name!r} is provided by {packages}; uninstall one of them")
    return _load(*entries.values())


def vendor_of(destination: Destination) -> Vendor[Any]:
    """The vendor of a destination; ``VendorError`` when it has none."""
    kind = getattr(destination, "kind", None)
    if not isinstance(kind, str):
        raise VendorError(f"{type(destination).__name__} has no kind; its class must set one")
    return find(kind)


def check(destination: Destination) -> None:
    """Raise ``VendorError`` where a plug-in cannot serve its (complete) destination.

    ``connect`` does no I/O, so trying it here turns its faults into faults of the configuration.
    """
    vendor = vendor_of(destination)
    if destination.kind in _BUILT_IN:
        return
    try:
        destination.fingerprint()
        parts = vendor.connect(destination, PipelineServices())
    except Exception as error:  # its text is not shown: the plug-in has seen the key
        raise VendorError(
            f"{destination.name}: the plug-in cannot connect ({type(error).__name__}); "
            "report this to its authors"
        ) from None
    if not isinstance(parts, VendorParts):
        raise VendorError(
            f"{destination.name}: the plug-in's connect() returned {type(parts).__name__}, "
            "not VendorParts; report this to its authors"
        )


def connect(destination: Destination, services: PipelineServices) -> VendorParts:
    """Exporter and transport for a (complete) destination.

    The transport uses the proxy and certificates of the destination, whatever its vendor passes.
    """
    parts = vendor_of(destination).connect(destination, services)
    network = getattr(destination, "network", None)
    if network is None or not isinstance(parts, VendorParts):
        return parts

    def transport() -> Transport:
        token = default_network.set(network)
        try:
            return parts.transport()
        finally:
            default_network.reset(token)

    return parts._replace(transport=transport)


def _entry_points() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def _load(entry: EntryPoint) -> Vendor[Any]:
    where = f"destination {entry.name!r} of {_origin(entry)}"
    try:
        vendor = entry.load()
    except Exception as error:
        raise VendorError(
            f"{where} cannot be imported ({type(error).__name__}: {error}); "
            "reinstall or uninstall that package"
        ) from None
    if not isinstance(vendor, Vendor):
        raise VendorError(f"{where}: {entry.value} is not a sessiontrace.vendors.vendor.Vendor")
    if getattr(vendor.destination, "kind", None) != entry.name:
        raise VendorError(
            f"{where}: the kind of its destination class must be {entry.name!r}, the name of its "
            "entry point"
        )
    return vendor


def _origin(entry: EntryPoint) -> str:
    return entry.value if entry.dist is None else f"package {entry.dist.name!r} ({entry.value})"
