from collections.abc import Collection, Iterable

from sessiontrace.store.folding import DecodedRecord, EventState, SessionState
from sessiontrace.store.sqlite.fresh.event_row import Row

def fold_fresh(record: DecodedRecord, session: SessionState) -> Row: ...
def fold_records(
    records: Iterable[DecodedRecord | Row],
    sessions: dict[str, SessionState],
    events: dict[str, EventState],
    repeated: Collection[str],
) -> list[Row | EventState]: ...
