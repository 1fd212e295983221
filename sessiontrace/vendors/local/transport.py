"""The local destination's transport: passes records to the background worker, which writes them.

The lane awaits ``send`` on the sender's loop; everything that blocks runs on the worker's thread.
Besides records the transport writes how many records the process has lost, and deletes sessions
beyond the store's limits, in small steps between batches. Invariant: it replies only when the
transaction is on disk or rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from sessiontrace.capture.encoding.media import waiting_content
from sessiontrace.capture.encoding.media_buffer import BUFFER
from sessiontrace.export.protocol import Reply, Request
from sessiontrace.model.errors import StoreBusyError, StoreError
from sessiontrace.model.record import Record
from sessiontrace.runtime.process_hooks import importing
from sessiontrace.runtime.threadsafe_future import ThreadsafeFuture
from sessiontrace.store import loss_reports, retention
from sessiontrace.store.media.intake import MediaIntake
from sessiontrace.store.media.limits import MediaLimits
from sessiontrace.store.models import Document
from sessiontrace.store.protocol import Store
from sessiontrace.vendors.local.exporter import BUSY, REFUSED, TAKEN, UNUSABLE
from sessiontrace.vendors.vendor import Submit

__all__ = ["LocalTransport"]

_TRIM_EVERY_S = 600.0
_TRIMMED_AT_ONCE = 5  # sessions: the application's exit waits for a step that has begun


class LocalTransport:
    """Transport into the store at ``path``, which the first request opens.

    ``submit``: runs a job on the background worker. ``loss_report``: the counts of what this
    process has lost so far, None while that is nothing. ``limits``: of the media that the store
    keeps, None for no media; ``note``: counts one that is refused.
    """

    def __init__(
        self,
        path: Path,
        submit: Submit,
        loss_report: Callable[[], Document | None] = lambda: None,
        *,
        limits: MediaLimits | None = None,
        note: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._path = path
        self._submit = submit
        self._loss_report = loss_report
        self._reported_counts: Mapping[str, Any] | None = None
        self._store: Store | None = None
        self._next_trim = 0.0
        self._media = (
            None
            if limits is None
            else MediaIntake(limits, waiting_content, BUFFER.drop, note, counts_missing=True)
        )

    async def send(self, request: Request, records: Sequence[Record]) -> Reply:
        """Write the records; an error of the store becomes the reply."""
        outcome = await self._on_worker(lambda: self._attempt(records))
        if isinstance(outcome, Reply):
            if outcome.status == TAKEN and time.monotonic() >= self._next_trim:
                self._next_trim = float("inf")  # until this one is done
                self._submit(self._trim, lambda _: None)
            return outcome
        # The worker has stopped; the next process will deliver this batch.
        return Reply(BUSY, body=str(outcome).encode())

    async def close(self) -> None:
        """Write the last loss report and close the file, on the worker's thread too."""
        if self._store is not None:
            await self._on_worker(self._leave)

    def _attempt(self, records: Sequence[Record]) -> Reply:
        try:
            refused = self._write(self._open(), records)
        except StoreBusyError as error:
            return Reply(BUSY, body=str(error).encode())
        except StoreError as error:
            return Reply(UNUSABLE, body=str(error).encode())
        except (MemoryError, ImportError) as error:  # ImportError: the interpreter is shutting down
            return Reply(BUSY, body=type(error).__name__.encode())
        except Exception as error:
            # Neither SQLite nor the system: one of the records is unexpected.
            text = f"{type(error).__name__}: {error}"
            return Reply(REFUSED, body=text.encode(errors="replace"))
        return Reply(TAKEN, body=orjson.dumps({str(at): why for at, why in refused.items()}))

    def _write(self, store: Store, records: Sequence[Record]) -> Mapping[int, str]:
        if self._media is not None:
            records = self._media.store_media(store, records)
        note = self._loss_report()
        counts = None if note is None or note.body is None else note.body["counts"]
        if note is None or counts == self._reported_counts:
            return store.write(records)
        refused = store.write(records, [note])
        self._reported_counts = counts
        return refused

    def _trim(self) -> None:
        """Delete some of the sessions beyond the store's limits; the next batch triggers more."""
        due = time.monotonic() + _TRIM_EVERY_S
        BUFFER.expire()
        try:
            store = self._open()
            if old := loss_reports.stale(store):
                store.write((), old)
            rule = retention.agreed(store)
            if rule is not None and retention.trim(store, rule, _TRIMMED_AT_ONCE):
                due = 0.0
        except StoreError:  # busy or broken: the next write reports it
            pass
        finally:
            self._next_trim = due

    def _leave(self) -> None:
        store = self._open()
        try:
            self._write(store, ())
        except StoreError:
            pass
        finally:
            store.close()

    def _open(self) -> Store:
        if self._store is None:
            # A local import: neither `import sessiontrace` nor another destination loads sqlite3.
            with importing():  # a fork that waited for the import must see the store
                from sessiontrace.store.sqlite.store import SqliteStore

                self._store = SqliteStore(self._path, aside=True)
        return self._store

    async def _on_worker(self, job: Callable[[], Any]) -> Any:
        outcome = ThreadsafeFuture[Any]()
        self._submit(job, outcome.set_result)
        return await outcome
