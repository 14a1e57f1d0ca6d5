"""Logs: events with fields, as JSON lines for machines and as short lines for people.

An event is a constant message; what varies is in `extra`. Nothing secret ever enters a record.
"""

from __future__ import annotations

import datetime
import enum
import logging
import sys
from typing import Any, TextIO

import msgspec

_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {
    "message",
    "asctime",
    "taskName",
}
_encoder = msgspec.json.Encoder(enc_hook=str)


class LogFormat(enum.StrEnum):
    AUTO = "auto"
    """Lines for people on a terminal, JSON elsewhere."""
    CONSOLE = "console"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encoder.encode(line).decode()


class ConsoleFormatter(logging.Formatter):
    """`12:30:01 warning session ended registry=dc1 error="connection refused"`"""

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        said = " ".join(f"{key}={_quoted(value)}" for key, value in fields(record).items())
        line = f"{clock} {record.levelname.lower():<7} {record.getMessage()} {said}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the event carries besides its message."""
    return {key: value for key, value in record.__dict__.items() if key not in _PLAIN}


def configure(
    *, level: str = "info", format: LogFormat = LogFormat.AUTO, stream: TextIO | None = None
) -> None:
    """Send all logs to `stream` (standard error). Raises ValueError for an unknown level."""
    stream = stream or sys.stderr
    if format is LogFormat.AUTO:
        format = LogFormat.CONSOLE if stream.isatty() else LogFormat.JSON
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if format is LogFormat.JSON else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # One line per event of the file system: ours, about what it meant, is enough.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def _quoted(value: Any) -> str:
    text = " ".join(str(value).split())
    return f'"{text}"' if " " in text or not text else text
