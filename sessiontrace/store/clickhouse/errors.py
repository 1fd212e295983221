"""Errors of ClickHouse and of the connection, as errors that say what to do.

Pure functions, no thread owns them. Invariant: a temporary fault is a ``StoreBusyError``, which the
server answers with 503 and a time to retry; no message holds a password or a record.
"""

from __future__ import annotations

from sessiontrace.model.errors import StoreBusyError, StoreError, StoreTimeoutError
from sessiontrace.store.clickhouse.url import PASSWORD, Address

__all__ = ["NO_SCHEMA", "translate"]

_TIMEOUT = frozenset({159, 160})
# Parts pile up, memory or slots are short, a replica is read-only, Keeper is away: all pass.
_BUSY = frozenset({202, 203, 209, 210, 225, 236, 241, 242, 252, 285, 286, 319, 394, 999})
_ABSENT = frozenset({60, 81})
_DENIED = frozenset({192, 193, 194, 497, 516})
_REASON_CHARS = 300

NO_SCHEMA = "{address} has no sessiontrace tables; create them with `sessiontrace store migrate`"


def translate(error: Exception, address: Address) -> StoreError:
    """The error as a ``StoreError``."""
    code = getattr(error, "code", None)
    if code in _TIMEOUT:
        return StoreTimeoutError(f"reading {address} took too long and was stopped")
    if code in _BUSY:
        return StoreBusyError(f"{address} cannot take more at the moment (code {code}); try again")
    if code in _ABSENT:
        return StoreError(NO_SCHEMA.format(address=address))
    if code in _DENIED:
        return StoreError(f"{address} refuses this user; the password is read from {PASSWORD}")
    if code is None:
        return StoreBusyError(f"{address} does not answer ({type(error).__name__}); try again")
    return StoreError(f"{address} refused a statement (code {code}): {str(error)[:_REASON_CHARS]}")
