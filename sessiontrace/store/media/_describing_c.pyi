from collections.abc import Iterable

from sessiontrace.model.record import Record
from sessiontrace.store.folding import DecodedRecord

def describing(records: Iterable[Record | DecodedRecord]) -> list[int]: ...
