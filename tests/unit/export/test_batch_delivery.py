"""A batch's delivery as a state machine: each row of the module's table, without a lane."""

from __future__ import annotations

from typing import Any

from support.lane_harness import MemorySource, PlainExporter, event

from sessiontrace.export.batch_delivery import BatchDelivery, DeliveryState
from sessiontrace.export.protocol import Batch, Blocked, Delivered, Invalid, Request, Retry
from sessiontrace.model.record import Records
from sessiontrace.spool.frame import Position


class TwoStages(PlainExporter):
    """Each record alone, in one request of each stage."""

    def encode(self, batch: Batch) -> list[list[Request]]:
        indices = range(len(batch.records))
        return [
            [Request("POST", path, b"{}", (index,)) for index in indices] for path in ("/a", "/b")
        ]


def delivery_of(count: int, exporter: Any = None) -> BatchDelivery:
    records = Records.of(event(number) for number in range(count))
    ends = [Position(1, number + 1) for number in range(count)]
    delivery = BatchDelivery(exporter or PlainExporter(), MemorySource(), records, ends)
    for _ in delivery.prepare():
        pass
    return delivery


def answer(delivery: BatchDelivery, *outcomes: Any) -> list[Any]:
    """Apply the outcomes to the pending requests, in order."""
    return [delivery.apply(delivery.stage.pending.popleft(), outcome) for outcome in outcomes]


def test_a_batch_goes_from_planning_to_finished() -> None:
    """The plain case: encoded, sent, acknowledged."""
    delivery = delivery_of(3)
    assert delivery.state is DeliveryState.SENDING
    assert delivery.advance() is None
    assert answer(delivery, Delivered()) == [None]
    settled = delivery.acknowledge()
    assert settled is not None
    assert (settled.acked, settled.position) == (3, Position(1, 3))
    assert delivery.finished


def test_a_retry_leaves_the_request_pending_and_blocked_outweighs_it() -> None:
    """Outcomes of concurrent requests may arrive in either order."""
    delivery = delivery_of(2, TwoStages())
    delivery.advance()
    first, second = delivery.stage.pending.popleft(), delivery.stage.pending.popleft()
    assert delivery.apply(first, Blocked("key")) == Blocked("key")
    assert delivery.apply(second, Retry("busy")) == Retry("busy")
    assert delivery.state is DeliveryState.BLOCKED
    assert list(delivery.stage.pending) == [second, first]


def test_what_was_refused_before_a_block_is_sent_again() -> None:
    """Nothing was accepted, so the fault may not have been in those records either."""
    delivery = delivery_of(3, TwoStages())
    delivery.advance()
    answer(delivery, Invalid("odd"), Blocked("key"))
    assert len(delivery.stage.refused) == 1
    for _ in delivery.prepare():
        pass
    delivery.advance()
    assert [request.records for request in delivery.stage.pending] == [(0,)]
    assert delivery.stage.refused == []


def test_a_blocked_stage_does_not_send_an_earlier_stage_again() -> None:
    """Two records are refused in a stage that others got through; then the next stage is blocked.
    When the backend accepts that stage, the batch is through: the two are rejected, once.
    """
    delivery = delivery_of(4, TwoStages())
    delivery.advance()
    answer(delivery, Invalid("odd"), Invalid("odd"), Delivered(), Delivered())
    assert delivery.advance() is None
    answer(delivery, *[Invalid("down")] * 4)
    assert delivery.advance() == Blocked("every record is refused (down)")
    for _ in delivery.prepare():
        pass
    assert [request.path for request in delivery.stage.pending] == ["/b"] * 4
    answer(delivery, *[Delivered()] * 4)
    assert delivery.advance() is None
    settled = delivery.acknowledge()
    assert settled is not None
    assert (settled.acked, len(settled.rejected)) == (2, 2)
    assert delivery.finished


def test_a_batch_of_which_nothing_can_be_encoded_is_planned_again() -> None:
    """Two records in a row are rather the exporter's fault, or the backend's, than their own."""

    class Failing(PlainExporter):
        def encode(self, batch: Batch) -> list[list[Request]]:
            raise ValueError

    delivery = delivery_of(2, Failing())
    assert isinstance(delivery.advance(), Blocked)
    assert delivery.state is DeliveryState.PLANNING
