"""The destination ``Local``: the path of the embedded store; a value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import attrs

from sessiontrace.model.destination import Destination, Env
from sessiontrace.store.media.limits import is_bytes, limits_of

__all__ = ["Local", "default_store", "path_fault"]


@attrs.frozen(kw_only=True)
class Local(Destination):
    """The embedded store: one SQLite file that ``sessiontrace serve`` shows.

    ``path``: default ``SESSIONTRACE_STORE``, else ``store.db`` in the user's data directory. The
    store deletes sessions idle for 30 days, and the oldest ones above 2 GiB, unless a server of
    this store sets other limits (``sessiontrace serve --keep-days 0 --keep-mib 0``: no limit).
    ``media_item`` and ``media_total``: bytes of the largest image, sound or file that is stored
    beside the records, and of all together; default ``SESSIONTRACE_MEDIA_ITEM``, else 16 MiB, and
    ``SESSIONTRACE_MEDIA_TOTAL``, else 1 GiB. ``init(media="digest")`` stores none.
    """

    kind: ClassVar[str] = "local"

    path: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))

    media_item: int | None = None
    media_total: int | None = None

    def complete(self, env: Env) -> Local:
        limits = limits_of(env)
        return attrs.evolve(
            self,
            path=(self.path or default_store(env)).expanduser().absolute(),
            media_item=limits.item_bytes if self.media_item is None else self.media_item,
            media_total=limits.total_bytes if self.media_total is None else self.media_total,
        )

    def faults(self) -> list[str]:
        faults = super().faults()
        faults += [
            f"{self.name}: {name}={value!r} must be a whole number of bytes above 0; "
            'init(media="digest") stores no media'
            for name, value in (("media_item", self.media_item), ("media_total", self.media_total))
            if not is_bytes(value)
        ]
        if self.path is not None and (fault := path_fault(self.path)):
            faults.append(
                f"{self.name}: path {fault}; name another file (path= or SESSIONTRACE_STORE)"
            )
        elif self.path is not None and self.path.is_dir():
            faults.append(
                f"{self.name}: path {str(self.path)!r} is a directory; name a file "
                "(path= or SESSIONTRACE_STORE)"
            )
        return faults

    def identity(self) -> tuple[str, str]:
        return ("", str(self.path))


_URL_SCHEMES = frozenset(
    f"{scheme}:" for scheme in ("clickhouse", "clickhouses", "file", "http", "https", "sqlite")
)


def path_fault(path: Path) -> str | None:
    """Why SQLite cannot open a file of this name, or None."""
    try:
        name = str(path).encode()
    except UnicodeEncodeError:
        return f"{str(path)!a} is not valid UTF-8"
    if any(part in _URL_SCHEMES for part in path.parts):  # the URL may hold a password
        return "is a URL and not a file's"
    return f"{str(path)!a} has a null byte" if b"\0" in name else None


def default_store(env: Env | None = None) -> Path:
    """The default path of the embedded store: ``SESSIONTRACE_STORE``, else the user's data."""
    env = os.environ if env is None else env
    if path := env.get("SESSIONTRACE_STORE"):
        return Path(path)
    import platformdirs  # a local import: programs that set a path do not need it

    return Path(platformdirs.user_data_dir("sessiontrace")) / "store.db"
