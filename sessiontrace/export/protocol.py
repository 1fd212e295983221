"""The exporter protocol: requests to a backend, its replies, and the outcomes they mean.

Pure values between a vendor's exporter (``encode`` and ``interpret``), the lane that obeys, and the
transport that sends. No thread owns them. Invariant: an outcome is about exactly the records
that its request carries.
"""

from __future__ import annotations

import email.utils
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import attrs

from sessiontrace.export.request_body import RequestBody
from sessiontrace.model.record import Record

__all__ = [
    "Batch",
    "Blocked",
    "Delivered",
    "Exporter",
    "Invalid",
    "Limits",
    "Outcome",
    "Rejected",
    "Reply",
    "Request",
    "Retry",
    "Settled",
    "TooLarge",
    "Transport",
    "UntrustedError",
    "judge_http",
    "retry_after",
]


@attrs.frozen
class Batch:
    """Records that a lane cut for one destination, in the order they were spooled.

    ``replay`` is true where some of them may have been delivered before (an adopted spool, a
    cursor that may be stale): an exporter must then not rely on a session being new.
    """

    records: Sequence[Record]
    replay: bool = False


def _content(body: bytes | RequestBody) -> RequestBody:
    return RequestBody((body,)) if isinstance(body, bytes) else body


@attrs.frozen
class Request:
    """One call to a backend. ``records`` are the indices in the batch that it carries.

    A record may be carried by several requests; it is settled when all of them are. ``note`` is the
    exporter's own: what ``interpret`` needs to know of the body without decoding it.
    """

    method: str
    path: str
    content: RequestBody = attrs.field(converter=_content, alias="body")
    records: tuple[int, ...]
    note: tuple[str, ...] = attrs.field(default=(), eq=False)

    @property
    def body(self) -> bytes:
        """The content in one piece: a copy, for those who look into it."""
        return bytes(self.content)


@attrs.frozen
class Reply:
    """What came back: status, lower-case header names, at most 64 KiB of the decoded body."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""


@attrs.frozen
class Delivered:
    """Taken. ``rejected`` maps indices that were refused for good to the reason.

    Where the backend rejects every record, the fault may be its own: as ``Invalid``.
    """

    rejected: Mapping[int, str] = attrs.field(factory=dict)


@attrs.frozen
class Retry:
    """Not taken this time. ``after`` is the wait the backend asked for, in seconds."""

    reason: str
    after: float | None = None


@attrs.frozen
class TooLarge:
    """Refused for its size: split, and cut or reject what is one record already."""

    reason: str = "too large"


@attrs.frozen
class Invalid:
    """Refused for its content: bisect to find the poison, and reject that."""

    reason: str


@attrs.frozen
class Blocked:
    """Refused for what an operator must fix (key, URL, certificate): keep the data, probe."""

    reason: str


@attrs.frozen
class Rejected:
    """Refused for good by a rule about these records alone, which says nothing of the backend.

    ``reasons``: by index, for every record of the request. For a request that is never sent, and
    for records that a store of ours cannot hold.
    """

    reasons: Mapping[int, str]


@attrs.frozen
class Settled:
    """The end of a request about what the records' other requests carry already.

    It says nothing of the backend, and rejects no record. ``omitted``: how many parts the backend
    has no place for; ``reason``: why, and what to do.
    """

    omitted: int = 0
    reason: str = ""


Outcome = Delivered | Rejected | Settled | Retry | TooLarge | Invalid | Blocked


@attrs.frozen
class Limits:
    """How a lane cuts batches for a destination."""

    max_records: int = 1000
    max_bytes: int = 4_000_000
    max_age_s: float = 1.0
    concurrency: int = 32


class UntrustedError(OSError):
    """The peer is not who it should be (certificate): raised by a transport, means Blocked."""


class Exporter(Protocol):
    """A vendor's pure half: no I/O, no clock, no event loop.

    An exporter may also offer ``cut(record) -> Record | None``: a smaller form of a record that
    was refused for its size, asked for once before the record goes to the dead letters.
    """

    @property
    def limits(self) -> Limits: ...

    def encode(self, batch: Batch) -> Iterable[Iterable[Request]]:
        """Stages in order; the requests of one stage may run concurrently.

        Both levels may be generators, so that the lane can breathe between requests: a stage is
        used up before the next one is asked for. To split a
        refused request, a lane encodes parts of its records as batches of their own and keeps what
        has the same method and path: where that leaves a record out, the request counts as one.
        """
        ...

    def interpret(self, request: Request, reply: Reply) -> Outcome:
        """What the reply means for the records that the request names."""
        ...


class Transport(Protocol):
    """A vendor's other half, the one seam where bytes leave the process."""

    async def send(self, request: Request, records: Sequence[Record]) -> Reply:
        """Send one request; ``records`` are those that it names, in its order.

        Raises ``OSError`` or ``TimeoutError`` when no reply came back, ``UntrustedError`` for a
        certificate. Their text is shown to users, so it never holds a key.
        """
        ...

    async def close(self) -> None: ...


_RETRY = frozenset({408, 425, 429, *range(500, 600)}) - {501, 505}
_INVALID = frozenset({400, 409, 422})
_RETRY_AFTER_MAX_S = 3600.0


def judge_http(reply: Reply) -> Outcome:
    """The outcome by status alone, for backends whose 2xx bodies say nothing more.

    Only 400, 409 and 422 are about the records themselves. Every other refusal is about the key,
    the address, the account or the form of the request: the data waits until that is fixed.
    """
    status = reply.status
    if 200 <= status < 300:
        return Delivered()
    if status in _RETRY:
        return Retry(f"HTTP {status}", retry_after(reply.headers))
    if status == 413:
        return TooLarge(f"HTTP {status}")
    if status in _INVALID:
        return Invalid(f"HTTP {status}")
    return Blocked(f"HTTP {status}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a ``Retry-After`` header, within 0 to 1 hour; None when absent or garbled.

    A date is measured against the reply's own ``Date``, so that a wrong clock here does no harm.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = email.utils.parsedate_to_datetime(value)
            since = email.utils.parsedate_to_datetime(headers.get("date", ""))
            seconds = (until - since).total_seconds()
        except (ValueError, TypeError):  # TypeError: one has a time zone, the other none
            return None
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), _RETRY_AFTER_MAX_S)
