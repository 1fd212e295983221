"""A batch is priced before anything reads it, and stays with its batcher meanwhile."""

from __future__ import annotations

from support.records import event, record, session_end

from sessiontrace.export.call_costs import add_costs
from sessiontrace.model.ids import new_id
from sessiontrace.model.record import UPDATE, Record, Records

SID = new_id()


def test_events_and_updates_are_offered_and_replaced_in_place() -> None:
    """Starts and ends have no price; a record that stays as it is costs no turn of the loop."""
    call, tool = event(SID), event(SID)
    late = record(UPDATE, event_id=SID, session_id=SID)
    records = Records.of([call, session_end(SID), tool, late])
    offered = []

    def price(one: Record) -> Record:
        offered.append(one)
        return Record(one.kind, one.route, b"priced") if one == call else one

    assert len(list(add_costs(records, price))) == 1
    assert offered == [call, tool, late]
    assert list(records.bodies) == [b"priced", *(one.body for one in list(records)[1:])]
    assert list(add_costs(records, None)) == []
