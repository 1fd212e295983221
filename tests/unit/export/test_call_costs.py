"""A batch is priced before anything reads it, and stays with its batcher meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from support.records import event, record, session_end

from sessiontrace.export.call_costs import add_costs
from sessiontrace.model.ids import new_id
from sessiontrace.model.record import UPDATE, Record, Records

SID = new_id()


def test_candidates_are_offered_and_replaced_in_place() -> None:
    """Only what the prices name as candidates; no turn of the loop without a cost."""
    call, tool, free = event(SID), event(SID), event(SID)
    late = record(UPDATE, event_id=SID, session_id=SID)
    records = Records.of([call, session_end(SID), tool, late, free])
    offered = []

    class Prices:
        def candidates(
            self, kinds: Sequence[bytes], bodies: Sequence[bytes], start: int, stop: int
        ) -> Iterator[int]:
            return iter([index for index in (0, 2, 3) if start <= index < stop])

        def record(self, record: Record) -> Record:
            offered.append(record)
            return Record(record.kind, record.route, b"priced") if record == call else record

    assert len(list(add_costs(records, Prices()))) == 1
    assert offered == [call, tool, late]
    assert list(records.bodies) == [b"priced", *(one.body for one in list(records)[1:])]
    assert list(add_costs(records, None)) == []
