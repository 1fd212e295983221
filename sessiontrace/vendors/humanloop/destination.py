"""The destination ``Humanloop``: address, key, API version and project; a value."""

from __future__ import annotations

from typing import ClassVar

import attrs

from sessiontrace.model.destination import Destination, Env, HttpDestination, key_faults

__all__ = ["Humanloop"]


@attrs.frozen(kw_only=True)
class Humanloop(HttpDestination):
    """A server that speaks Humanloop's API: the hosted service closed on 8 September 2025.

    ``api_key``: default ``HUMANLOOP_API_KEY``. ``base_url``: required, default
    ``HUMANLOOP_BASE_URL``; ``/v4`` or ``/v5`` is added where it has neither. ``version``: 4 (logs
    and sessions) or 5 (flows). ``project``: the project (v4) or directory (v5) that logs go to.
    Source: Humanloop's v4 OpenAPI document and v5 Python client 0.8.38.
    """

    kind: ClassVar[str] = "humanloop"
    KEY_VARIABLE: ClassVar[str] = "HUMANLOOP_API_KEY"
    URL_VARIABLE: ClassVar[str] = "HUMANLOOP_BASE_URL"

    version: int = 4
    project: str = "sessiontrace"

    def complete(self, env: Env) -> Humanloop:
        complete = super().complete(env)
        assert isinstance(complete, Humanloop)
        if complete.base_url and not complete.base_url.endswith(("/v4", "/v5")):
            complete = attrs.evolve(complete, base_url=f"{complete.base_url}/v{self.version}")
        return complete

    def faults(self) -> list[str]:
        faults = super().faults()
        if not self.base_url:
            faults = [
                *Destination.faults(self),
                *key_faults(self.name, "api_key", self.api_key, self.KEY_VARIABLE),
                f"{self.name}: no base_url; Humanloop's hosted service closed in September 2025, "
                f"so name the server that speaks its API (base_url= or {self.URL_VARIABLE})",
                *self.network_faults(),
            ]
        elif self.version in (4, 5) and not self.base_url.endswith(f"/v{self.version}"):
            faults.append(
                f"{self.name}: base_url is of another version than version={self.version}; "
                f"change one of them (base_url= or {self.URL_VARIABLE})"
            )
        if self.version not in (4, 5):
            faults.append(f"{self.name}: version must be 4 or 5, not {self.version!r}")
        if not self.project.strip():
            faults.append(f"{self.name}: project must not be empty")
        return faults

    def identity(self) -> tuple[str, str]:
        key, place = super().identity()
        return (key, f"{place} {self.project}")
