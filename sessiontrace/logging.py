"""Logs beside steps: log records become notes of the current step, log lines carry its ids.

For the standard library, structlog and loguru; this module imports neither of these two. Everything
runs in the thread that logs. Invariant: nothing here raises into the program, or changes its log
records but by adding ids; our own log lines become no notes; no code of an argument runs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

from sessiontrace import api
from sessiontrace.capture.encoding.exceptions import summary
from sessiontrace.capture.encoding.short_repr import short_text
from sessiontrace.capture.handle import OPEN, Handle
from sessiontrace.capture.span import Span
from sessiontrace.runtime.signals import raise_if_from_signal

__all__ = ["ContextFilter", "SpanHandler", "loguru_patcher", "structlog_processor"]

_OURS = "sessiontrace"  # the logger of this package, and those below
_SIMPLE = (str, int, float, bool, type(None))
_MESSAGE_MAX = 2_000
_LEVELS = {
    "trace": 5,
    "debug": 10,
    "info": 20,
    "success": 25,
    "warning": 30,
    "warn": 30,
    "error": 40,
    "exception": 40,
    "critical": 50,
    "fatal": 50,
}
_busy = threading.local()


class CurrentSpan(Protocol):
    """A tracer, as far as it is needed here."""

    def current_span(self) -> Span:
        """The innermost open span or session here, falsy where there is none."""


class SpanHandler(logging.Handler):
    """A handler that adds log records to the current step, as ``metadata.logs``.

    ``logging.getLogger().addHandler(SpanHandler(level=logging.WARNING))``. Each note has ``time``
    (Unix ms), ``level``, ``logger``, ``message`` and, where an exception is logged, ``error``.
    ``level``: the lowest that is noted, default INFO. ``tracer``: default that of the module's
    functions. A step has at most 100 notes; ``metadata.logs_omitted`` counts the others. Behind a
    ``QueueHandler`` there is no current step: add this handler beside it.
    """

    def __init__(
        self, level: int | str = logging.INFO, *, tracer: CurrentSpan | None = None
    ) -> None:
        super().__init__(level)
        self._tracer = tracer

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record to the current step, if there is one."""
        name = record.name
        if name == _OURS or name.startswith(_OURS + "."):
            return
        _note(self._tracer, lambda: _of_record(record))


class ContextFilter(logging.Filter):
    """A filter that gives each log record ``session_id`` and ``event_id``, and drops none.

    Add it to handlers; a format may then use ``%(session_id)s`` and ``%(event_id)s``. Both are
    empty where nothing is recorded. A record that has them already, from ``extra=``, keeps them.
    """

    def __init__(self, *, tracer: CurrentSpan | None = None) -> None:
        super().__init__()
        self._tracer = tracer

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids; always True."""
        for name, value in _ids(self._tracer).items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


def structlog_processor(
    level: int | str | None = "info", *, tracer: CurrentSpan | None = None
) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    """A processor for structlog: adds the ids to the event, and the event to the current step.

    Put it before the renderer. ``level``: the lowest that is noted; None notes nothing. Further
    fields of the event become the note's ``fields``. Errors: ValueError for an unknown level.
    """
    lowest = _level_number(level)

    def processor(
        logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        number = _LEVELS.get(str(event_dict.get("level", method_name)).lower(), logging.INFO)
        if lowest is not None and number >= lowest:
            _note(tracer, lambda: _of_event_dict(event_dict, method_name))
        try:
            for name, value in _ids(tracer).items():
                if value:
                    event_dict.setdefault(name, value)
        except Exception as fault:  # a mapping of the program's own
            raise_if_from_signal(fault)
        return event_dict

    return processor


def loguru_patcher(
    level: int | str | None = "INFO", *, tracer: CurrentSpan | None = None
) -> Callable[[Any], None]:
    """A patcher for loguru: ``logger.configure(patcher=st.logging.loguru_patcher())``.

    It puts the ids into ``record["extra"]``, and the record into the current step. ``level``: the
    lowest that is noted; None notes nothing. Errors: ValueError for an unknown level.
    """
    lowest = _level_number(level)

    def patcher(record: Any) -> None:
        try:
            if lowest is not None and record["level"].no >= lowest:
                _note(tracer, lambda: _of_loguru(record))
            for name, value in _ids(tracer).items():
                record["extra"].setdefault(name, value)
        except Exception as fault:
            raise_if_from_signal(fault)

    return patcher


def _level_number(level: int | str | None) -> int | None:
    if level is None or (isinstance(level, int) and not isinstance(level, bool)):
        return level
    if isinstance(level, str) and (number := _LEVELS.get(level.lower())) is not None:
        return number
    raise ValueError(f"level must be a number, None or one of {', '.join(_LEVELS)}, got {level!r}")


def _here(tracer: CurrentSpan | None) -> Span | None:
    """The current step or session, where it is recorded."""
    span: Handle = (api.default_tracer if tracer is None else tracer).current_span()
    if not isinstance(span, Span) or span.state != OPEN or span.session.skip_reason is not None:
        return None
    return span


def _ids(tracer: CurrentSpan | None) -> dict[str, str]:
    try:
        span = _here(tracer)
    except Exception as fault:
        raise_if_from_signal(fault)
        span = None
    if span is None:
        return {"session_id": "", "event_id": ""}
    return {"session_id": span.session_id, "event_id": span.event_id}


def _note(tracer: CurrentSpan | None, describe: Callable[[], dict[str, Any]]) -> None:
    """Add a note to the current step; not where adding one logs something itself."""
    if getattr(_busy, "noting", False):
        return
    _busy.noting = True
    try:
        span = _here(tracer)
        if span is not None:
            span.add_note({name: value for name, value in describe().items() if value})
    except Exception as fault:
        raise_if_from_signal(fault)
    finally:
        _busy.noting = False


def _of_record(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    message: Any = record.msg
    if isinstance(message, dict) and "event" in message:  # structlog's, on its way to a formatter
        fields = _others(message)
        message = message["event"]
    elif record.args:
        message = _formatted(record.msg, record.args)
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return {
        "time": int(record.created * 1000),
        "level": record.levelname,
        "logger": record.name,
        "message": short_text(message)[:_MESSAGE_MAX],
        "error": None if error is None else summary(error),
        "fields": fields,
    }


def _formatted(template: Any, args: Any) -> str:
    """The message, as the standard library formats it where no code of an argument runs."""
    text = short_text(template)
    has_names = isinstance(args, dict)
    try:
        if has_names:
            return text % {name: _plain(value) for name, value in args.items()}
        return text % tuple(_plain(value) for value in args)
    except (TypeError, ValueError, KeyError):
        return text


def _plain(value: Any) -> Any:
    return value if type(value) in _SIMPLE else short_text(value)


_RESERVED = frozenset({"event", "level", "logger", "timestamp", "exc_info", "exception",
                       "session_id", "event_id"})  # fmt: skip


def _others(event_dict: MutableMapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in event_dict.items()
        if name not in _RESERVED and not str(name).startswith("_")
    }


def _of_event_dict(event_dict: MutableMapping[str, Any], method_name: str) -> dict[str, Any]:
    error = event_dict.get("exc_info")
    error = error[1] if isinstance(error, tuple) and len(error) == 3 else error
    logger = event_dict.get("logger")
    return {
        "time": int(time.time() * 1000),
        "level": str(event_dict.get("level", method_name)).upper(),
        "logger": logger if isinstance(logger, str) else None,
        "message": short_text(event_dict.get("event"))[:_MESSAGE_MAX],
        "error": summary(error) if isinstance(error, BaseException) else None,
        "fields": _others(event_dict),
    }


def _of_loguru(record: Any) -> dict[str, Any]:
    exception = record["exception"]
    error = None if exception is None else exception.value
    return {
        "time": int(record["time"].timestamp() * 1000),
        "level": record["level"].name,
        "logger": record["name"],
        "message": short_text(record["message"])[:_MESSAGE_MAX],
        "error": summary(error) if isinstance(error, BaseException) else None,
        "fields": _others(record["extra"]),
    }
