"""structlog and loguru, the real libraries: events become notes, and lines get the ids."""

from __future__ import annotations

from typing import Any

import pytest

import sessiontrace as st
from sessiontrace.testing import capture

structlog: Any = pytest.importorskip("structlog", reason="the contract group is not installed")
loguru: Any = pytest.importorskip("loguru", reason="the contract group is not installed")
pytestmark = pytest.mark.contract


def logs_of(event: dict[str, Any]) -> list[dict[str, Any]]:
    logs = event["metadata"]["logs"]
    assert isinstance(logs, list)
    return logs


def test_structlog_gets_the_ids_and_notes_its_events() -> None:
    """With the real library; fields of the event go along, the bound logger's too."""
    written: list[dict[str, Any]] = []

    def collect(logger: Any, name: str, event: Any) -> Any:
        written.append(dict(event))
        raise structlog.DropEvent

    logger = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[
            structlog.stdlib.add_log_level,
            st.logging.structlog_processor("warning"),
            collect,
        ],
    ).bind(shop="Genoa")
    with capture() as recorded, st.session("chat"), st.span("look") as span:
        logger.info("quiet", n=1)
        try:
            raise ValueError("no seat")
        except ValueError as error:
            logger.error("failed", n=2, exc_info=error)
    assert [event["event_id"] for event in written] == [span.event_id] * 2
    (event,) = recorded.events
    (note,) = logs_of(event)
    del note["time"]
    assert note == {
        "level": "ERROR",
        "message": "failed",
        "error": "ValueError: no seat",
        "fields": {"shop": "Genoa", "n": 2},
    }
    written.clear()
    logger.error("outside")
    assert "event_id" not in written[0]


def test_loguru_gets_the_ids_and_notes_its_records() -> None:
    """With the real library; the level is loguru's own."""
    lines: list[str] = []
    logger = loguru.logger
    logger.remove()
    sink = logger.add(lines.append, format="{extra[event_id]}|{message}", catch=False)
    logger.configure(patcher=st.logging.loguru_patcher("SUCCESS"))
    try:
        with capture() as recorded, st.session("chat"), st.span("look") as span:
            logger.info("quiet")
            logger.bind(n=2).success("found {}", "a seat")
            try:
                raise ValueError("no seat")
            except ValueError:
                logger.exception("failed")
        logger.info("outside")
    finally:
        logger.remove(sink)
        logger.configure(patcher=lambda record: None)
    assert lines[0].strip() == f"{span.event_id}|quiet"
    assert lines[-1].strip() == "|outside"
    (event,) = recorded.events
    success, failure = logs_of(event)
    assert (success["level"], success["message"]) == ("SUCCESS", "found a seat")
    assert success["fields"] == {"n": 2}
    assert failure["error"] == "ValueError: no seat"
