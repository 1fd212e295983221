from collections.abc import Sequence

from sessiontrace.model.record import Record
from sessiontrace.store.folding import DecodedRecord
from sessiontrace.store.sqlite.fresh._outline_py import Touched
from sessiontrace.store.sqlite.fresh.event_row import Row

def outlines(
    records: Sequence[Record | DecodedRecord], first: int, now: int, refused: dict[int, str]
) -> list[DecodedRecord | Row]: ...
def touched(records: Sequence[DecodedRecord | Row]) -> Touched: ...
