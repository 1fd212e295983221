"""A batch is priced before anything reads it, and stays with its batcher meanwhile."""

from __future__ import annotations

from support.records import event, record, session_end

from sessiontrace.export.call_costs import add_costs
from sessiontrace.model.ids import new_id
from sessiontrace.model.record import UPDATE, Record, Records

SID = new_id()


def test_events_and_updates_are_offered_and_replaced_in_place() -> None:
    """Starts and ends have no price, nor what the prices do not concern; no turn without a cost."""
    call, tool, free = event(SID), event(SID), event(SID)
    late = record(UPDATE, event_id=SID, session_id=SID)
    records = Records.of([call, session_end(SID), tool, late, free])
    offered = []

    class Prices:
        def concerns(self, kind: bytes, body: bytes) -> bool:
            return body != free.body

        def record(self, record: Record) -> Record:
            offered.append(record)
            return Record(record.kind, record.route, b"priced") if record == call else record

    assert len(list(add_costs(records, Prices()))) == 1
    assert offered == [call, tool, late]
    assert list(records.bodies) == [b"priced", *(one.body for one in list(records)[1:])]
    assert list(add_costs(records, None)) == []
