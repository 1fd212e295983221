"""PostHog's Sessions API, typed: which properties sessions have, and which values.

Runs in the user's event loop. Invariant: where PostHog never lists values for a
key, the empty result comes with a warning that says so.

Source: PostHog's own code (``posthog/api/session.py`` and the sessions tables v2 and v3, read in
2026); its OpenAPI document does not describe the replies of these two routes.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs

from sessiontrace.clients.base import Client
from sessiontrace.clients.errors import ApiError, ForbiddenError, UnexpectedAnswerError
from sessiontrace.clients.http import Rest, path_part
from sessiontrace.clients.model import Model
from sessiontrace.export.protocol import Reply
from sessiontrace.model.destination import HttpDestination
from sessiontrace.model.secret import Secret

__all__ = ["EmptyAnswerWarning", "PostHog", "PropertyDefinition", "Values"]

_INGESTION = re.compile(r"^(https://)(us|eu)\.i\.posthog\.com$")
_UNLISTED = {  # keys of types whose values PostHog never lists
    **dict.fromkeys(("$start_timestamp", "$end_timestamp"), "a time"),
    **dict.fromkeys(
        ("$pageview_count", "$autocapture_count", "$screen_count", "$vitals_lcp"), "a number"
    ),
    "$session_duration": "a duration",
}


class EmptyAnswerWarning(UserWarning):
    """PostHog always replies to such a call with an empty list, whatever its data."""


@attrs.frozen(kw_only=True)
class PropertyDefinition(Model):
    """A property of sessions. ``property_type``: DateTime, String, Numeric, Boolean, Duration.

    ``is_numerical`` is true for durations too.
    """

    id: str
    name: str
    is_numerical: bool = False
    property_type: str | None = None
    is_seen_on_filtered_events: bool | None = None
    tags: list[str] | None = None


@attrs.frozen
class Values(Sequence[str]):
    """The values of one property, most frequent first; a sequence of texts.

    ``refreshing``: whether PostHog is computing newer ones; False where the reply does not say.
    """

    names: tuple[str, ...] = ()
    refreshing: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, at: Any) -> Any:
        return self.names[at]


@attrs.frozen(kw_only=True)
class _Personal(HttpDestination):
    """PostHog's private API, which needs a personal key."""

    kind: ClassVar[str] = "posthog"
    KEY_VARIABLE: ClassVar[str] = "POSTHOG_PERSONAL_API_KEY"
    URL_VARIABLE: ClassVar[str] = "POSTHOG_HOST"
    DEFAULT_URL: ClassVar[str] = "https://us.posthog.com"

    def faults(self) -> list[str]:
        faults = super().faults()
        if self.api_key and self.api_key.reveal().startswith("phc_"):
            faults.append(
                f"{self.name}: the key is a project's token (phc_); this API takes a personal key "
                f"(phx_) with the scope query:read (api_key= or {self.KEY_VARIABLE})"
            )
        return faults


class PostHog(Client):
    """An async client of PostHog's Sessions API. Use it with ``async with``, in any asyncio loop.

    ``api_key``: a personal key (``phx_...``) with the scope ``query:read``; default
    ``POSTHOG_PERSONAL_API_KEY``. ``base_url``: default ``POSTHOG_HOST`` (an ingestion host such as
    ``us.i.posthog.com`` becomes its API host), else PostHog's US cloud. ``project_id``: a number,
    or ``"@current"`` for the key's own. The other options are those of ``HoneyHive``. PostHog
    allows 240 calls a minute and 1200 an hour. Raises ``ConfigError`` for options that cannot work.
    """

    def __init__(
        self,
        api_key: str | Secret | None = None,
        base_url: str = "",
        *,
        project_id: int | str = "@current",
        timeout: float = 30.0,
        retries: int = 2,
        proxy: str | Secret | None = None,
        ca_file: str | Path | None = None,
        client_cert: str | Path | None = None,
        client_key: str | Path | None = None,
        allow_insecure: bool = False,
    ) -> None:
        place = _Personal(
            api_key=api_key, base_url=base_url, allow_insecure=allow_insecure
        ).complete(os.environ)
        project = str(project_id)
        faults = []
        if not project.isdigit() and project != "@current":
            faults.append(f"project_id must be a number or '@current', not {project_id!r}")
        super().__init__(
            place,
            base_url=_INGESTION.sub(r"\1\2.posthog.com", place.base_url),
            faults=faults,
            timeout=timeout,
            retries=retries,
            proxy=proxy,
            ca_file=ca_file,
            client_cert=client_cert,
            client_key=client_key,
        )
        part = project if project == "@current" else path_part(project)
        self.sessions: Sessions = Sessions(self._rest, f"/api/projects/{part}/sessions")


class Sessions:
    """``client.sessions``."""

    def __init__(self, api: Rest, path: str) -> None:
        self._rest = api
        self._path = path

    async def property_definitions(
        self, *, search: str | None = None, is_numerical: bool | None = None
    ) -> list[PropertyDefinition]:
        """The properties that sessions have.

        ``search``: words that must all occur in the name. ``is_numerical``: only numbers and
        durations, or only the others. Never paged.
        """
        answer = await self._rest.call(
            "GET",
            f"{self._path}/property_definitions/",
            query={"search": search, "is_numerical": is_numerical},
            raises=_with_scope,
        )
        definitions = _results(answer.value)
        return [PropertyDefinition.read(definition) for definition in definitions]

    async def values(self, key: str, value: str | None = None) -> Values:
        """Up to 20 values that sessions have for a property, most frequent first.

        ``key``: with its ``$``, such as ``"$entry_utm_source"``. ``value``: only those that
        contain this text (``%`` and ``_`` are wildcards). An empty
        answer comes with an ``EmptyAnswerWarning`` where PostHog never has another: keys without
        ``$``, times, numbers, durations.
        """
        answer = await self._rest.call(
            "GET",
            f"{self._path}/values/",
            query={"key": key, "value": value},
            raises=_with_scope,
        )
        refreshing = isinstance(answer.value, Mapping) and answer.value.get("refreshing") is True
        names = []
        for entry in _results(answer.value):
            if not isinstance(entry, Mapping) or "name" not in entry:
                raise UnexpectedAnswerError("values: an entry lacks name", ("name",))
            names.append(str(entry["name"]))
        if not names and (why := _always_empty(key)):
            warnings.warn(
                f"PostHog lists no values for {key!r}: {why}", EmptyAnswerWarning, stacklevel=2
            )
        return Values(tuple(names), refreshing)


def _always_empty(key: str) -> str:
    if key in _UNLISTED:
        return f"it is {_UNLISTED[key]}, and only texts and booleans have a list"
    if key and not key.startswith("$"):
        better = f"${key}"
        also = f" ({_UNLISTED[better]}, which is never listed)" if better in _UNLISTED else ""
        return f"session properties start with '$'; {better!r} perhaps{also}"
    return ""


def _results(value: Any) -> Sequence[Any]:
    """The entries of a reply: a bare list in older PostHogs, under ``results`` in newer ones."""
    entries = value.get("results") if isinstance(value, Mapping) else value
    if not isinstance(entries, list):
        raise UnexpectedAnswerError("the answer lacks results", ("results",))
    return entries


def _with_scope(error: ApiError, reply: Reply) -> ApiError:
    """A 403 with the scope that its message names."""
    if isinstance(error, ForbiddenError):
        match = re.search(r"scope '([^']+)'", error.message)
        error.scope = match.group(1) if match else None
    return error
