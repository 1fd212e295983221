from sessiontrace.store.folding import DecodedRecord, SessionState
from sessiontrace.store.sqlite.fresh.event_row import Row

def fold_fresh(record: DecodedRecord, session: SessionState) -> Row: ...
