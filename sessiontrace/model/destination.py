"""Destinations: where records can go, and what a vendor behind HTTP needs; values.

Each vendor's own class is in its package under ``vendors``. No thread owns a destination.
Invariant: two destinations with the same fingerprint are the same place, and no fingerprint and no
fault contains a key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping
from typing import ClassVar

import attrs

from sessiontrace.model.secret import Secret, secret

__all__ = ["Destination", "Env", "HttpDestination", "key_faults", "url_faults"]

Env = Mapping[str, str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@attrs.frozen(kw_only=True)
class Destination:
    """Where records go. Subclasses add what their backend needs.

    ``kind``: the vendor's name in the registry. ``name`` (default: the kind) distinguishes several
    destinations of one kind in ``to=``, in reports and in the spool. ``start_at``: where a
    destination begins that earlier processes did not have. "newest": with this process's own
    records. "oldest": with all records that those processes left in the spool for other
    destinations.
    """

    kind: ClassVar[str]
    name: str = ""
    start_at: str = "newest"

    def __attrs_post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    def complete(self, env: Env) -> Destination:
        """A copy of this destination with missing values taken from the environment."""
        return self

    def faults(self) -> list[str]:
        """One sentence for each thing wrong with this (completed) destination."""
        faults = []
        if not _NAME.match(self.name):
            faults.append(
                f"destination name {self.name!r}: use 1 to 64 letters, digits, '.', '_' or '-', "
                "starting with a letter or digit"
            )
        if self.start_at not in ("newest", "oldest"):
            faults.append(f"{self.name}: start_at must be 'newest' or 'oldest'")
        return faults

    def fingerprint(self) -> str:
        """The identity of the place, 32 hex digits: a hash of kind and address, keyed by the key.

        A spool's records go only to a destination with the fingerprint they were written for. The
        key cannot be recovered from it.
        """
        key, place = self.identity()
        digest = hmac.new(key.encode(), f"{self.kind}\n{place}".encode(), hashlib.sha256)
        return digest.hexdigest()[:32]

    def identity(self) -> tuple[str, str]:
        """The key and the address that identify this destination."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class HttpDestination(Destination):
    """A destination behind a URL with an API key.

    A subclass names the variables of both. ``allow_insecure``: permit ``http://`` to other hosts,
    which sends the key in the clear.
    """

    KEY_VARIABLE: ClassVar[str]
    URL_VARIABLE: ClassVar[str]
    DEFAULT_URL: ClassVar[str] = ""

    api_key: Secret | None = attrs.field(default=None, converter=secret)
    base_url: str = ""
    allow_insecure: bool = False

    def complete(self, env: Env) -> HttpDestination:
        url = self.base_url or env.get(self.URL_VARIABLE) or self.DEFAULT_URL
        return attrs.evolve(
            self,
            api_key=self.api_key or secret(env.get(self.KEY_VARIABLE)),
            base_url=url.rstrip("/"),
        )

    def faults(self) -> list[str]:
        return [
            *super().faults(),
            *key_faults(self.name, "api_key", self.api_key, self.KEY_VARIABLE),
            *url_faults(self.name, self.base_url, self.URL_VARIABLE, self.allow_insecure),
        ]

    def identity(self) -> tuple[str, str]:
        return (self.api_key.reveal() if self.api_key else "", self.base_url)


def key_faults(name: str, field: str, key: Secret | None, variable: str) -> list[str]:
    """What is wrong with a key that argument ``field`` or environment ``variable`` gives."""
    if not key:
        return [f"{name}: no key; pass {field}= or set {variable}"]
    if not all("!" <= char <= "~" for char in key.reveal()):
        return [
            f"{name}: the key has characters no header can carry (a space or line break, "
            f"perhaps); check {field}= or {variable}"
        ]
    return []


def url_faults(
    name: str, url: str, variable: str, insecure: bool = False, argument: str = "base_url"
) -> list[str]:
    """What is wrong with a URL that ``argument`` or environment ``variable`` gives."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return [f"{name}: {argument} cannot be read as a URL; check {argument}= or {variable}"]
    where = f"{argument}= or {variable}"
    if parts.scheme not in {"http", "https"} or not host:
        return [f"{name}: {argument} must start with https:// and name a host; check {where}"]
    if parts.username is not None or parts.password is not None:
        better = "api_key=" if argument == "base_url" else "headers="
        return [f"{name}: {argument} must not carry a user or password; use {better} ({where})"]
    if parts.query or parts.fragment:
        return [f"{name}: {argument} must not have a query or fragment; check {where}"]
    if parts.scheme == "http" and host not in _LOOPBACK and not insecure:
        return [
            f"{name}: {argument} is http:// to {host}, which would send the key in the clear; "
            f"use https:// ({where}), or allow_insecure=True"
        ]
    return []
