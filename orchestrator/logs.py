"""Logs: one line an event on stderr, as JSON or as text.

Events have constant dotted names (`step.done`), everything else is a field; `shop`, `order` and `target` come from the
context (`about`). Lines of libraries that log through the standard library join in as the event `library.log`.

Two things must hold whatever is logged: no secret gets out, so the finished line is searched for every known one (a
traceback or an odd nesting is searched with it), and a log that cannot be written stops no order: the daemon's lines
go through a `LineWriter`, and errors of a stream are swallowed.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from orchestrator.clock import Clock, rfc3339
from orchestrator.masking import Mask
from orchestrator.process.log_writer import LineWriter

LogFormat = Literal["auto", "json", "text"]
"""`auto`: text where the stream is a terminal, else JSON."""

LogLevel = Literal["debug", "info", "warning", "error"]


def get_logger() -> FilteringBoundLogger:
    """A logger for a module. It follows `configure` whenever that is called, also again."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def about(
    *, shop: str | None = None, order: str | None = None, target: str | None = None
) -> AbstractContextManager[None]:
    """Every line logged inside (also by tasks started inside) carries these fields."""
    fields = {"shop": shop, "order": order, "target": target}
    return structlog.contextvars.bound_contextvars(
        **{name: value for name, value in fields.items() if value is not None}
    )


def configure(
    log_format: LogFormat,
    level: LogLevel,
    stream: TextIO | None = None,
    *,
    mask: Mask | None = None,
    clock: Clock | None = None,
    writer: LineWriter | None = None,
) -> None:
    """Sends all logs of the process to `stream` (stderr). May be called again, for example with another level.

    `mask` holds the secrets to hide; the caller keeps it and adds to it when the config changes. `writer`: takes the
    lines instead of `stream`, which is still asked for its encoding and whether it is a terminal.
    """
    sink = _Sink(stream if stream is not None else sys.stderr, mask or Mask(), writer)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _Timestamp(clock or Clock()),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering = _rendering(log_format, is_terminal=sink.is_terminal)
    if writer is not None:
        writer.notice = partial(_notice, [_Timestamp(clock or Clock()), *rendering])
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: sink,
        # Cached loggers would keep the level that they were first used with, and SIGHUP may change it.
        cache_logger_on_first_use=False,
    )
    handler = _LibraryHandler(sink, [_name_library_event, *shared, *rendering])
    root = logging.getLogger()
    for old in [found for found in root.handlers if isinstance(found, _LibraryHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("transitions", "aiosqlite"):  # they log every trigger and statement; the feed does it better
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _notice(processors: list[Processor], count: int) -> str:
    """The line that stands where `count` lines are missing."""
    event: EventDict = {"event": "log.lines_lost", "level": "warning", "count": count}
    for process in processors:
        event = process(None, "warning", event)  # type: ignore[assignment]
    return str(event)


class _Sink:
    """Where finished lines go; a structlog logger whose methods all do the same."""

    def __init__(self, stream: TextIO, mask: Mask, writer: LineWriter | None) -> None:
        self._stream = stream
        self._mask = mask
        self._writer = writer
        self.is_terminal = stream.isatty()

    def write(self, line: str) -> None:
        """Writes one line, masked. A full disk or a closed pipe loses the line and nothing else."""
        masked = self._mask.apply(line) + "\n"
        if self._writer is not None:
            self._writer.put(masked.encode(self._stream.encoding or "utf-8", "backslashreplace"))
            return
        try:
            try:
                self._stream.write(masked)
            except UnicodeEncodeError:  # a terminal in ASCII, or half a surrogate pair from a platform
                encoding = self._stream.encoding or "ascii"
                self._stream.write(masked.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):
            return

    msg = debug = info = warning = warn = error = exception = critical = fatal = log = write


class _Timestamp:
    """Adds `at`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["at"] = rfc3339(self._clock.now_ms())
        return event


class _LibraryHandler(logging.Handler):
    """Brings records of the standard library's logging into the same form."""

    def __init__(self, sink: _Sink, processors: list[Processor]) -> None:
        super().__init__()
        renderer = structlog.stdlib.ProcessorFormatter(processors=processors, use_get_message=True)
        self.setFormatter(renderer)
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a wrong format string in a library is not our downfall
            line = json.dumps({"event": "library.log", "logger": record.name, "message": "(unprintable)"})
        self._sink.write(line)


def _name_library_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Event names are constant, so a library's sentence is the field `message`."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    event["message"] = event["event"]
    event["event"] = "library.log"
    event["logger"] = record.name
    return event


def _lead_with_the_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """People read JSON lines too: when, how bad and what come first."""
    return {"at": event.pop("at"), "level": event.pop("level"), "event": event.pop("event"), **event}


def _rendering(log_format: LogFormat, *, is_terminal: bool) -> list[Processor]:
    if log_format == "auto":
        log_format = "text" if is_terminal else "json"
    match log_format:
        case "json":
            return [
                structlog.processors.format_exc_info,
                _lead_with_the_event,
                structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            ]
        case "text":
            return [
                structlog.dev.ConsoleRenderer(
                    colors=is_terminal and not os.environ.get("NO_COLOR"),
                    timestamp_key="at",
                    exception_formatter=structlog.dev.plain_traceback,
                    pad_event_to=0,
                )
            ]
