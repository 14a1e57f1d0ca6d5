"""Logs: JSON lines for machines, short lines for people."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from pilot_core.telemetry.log import LogFormat, configure


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:] = before[0]
    logging.getLogger().setLevel(before[1])


def _said(format: LogFormat, level: str = "info") -> str:
    stream = io.StringIO()
    configure(level=level, format=format, stream=stream)
    log = logging.getLogger("pilot_core.test")
    log.info("session ended", extra={"registry": "dc1", "error": "no way\n home", "after": 1.5})
    log.debug("seen")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("a part failed")
    return stream.getvalue()


def test_json_is_one_object_a_line_with_the_fields_of_the_event():
    first, second = map(json.loads, _said(LogFormat.JSON).splitlines())

    assert first.pop("time").endswith("+00:00")
    assert {
        "level": "info",
        "logger": "pilot_core.test",
        "event": "session ended",
        "registry": "dc1",
        "error": "no way\n home",
        "after": 1.5,
    } == first
    assert "ValueError: broken" in second["traceback"]


def test_console_lines_are_short_and_quote_what_has_blanks():
    line = _said(LogFormat.CONSOLE).splitlines()[0]

    assert ' info    session ended registry=dc1 error="no way home" after=1.5' == line[8:]


def test_the_level_decides_what_is_said():
    assert "seen" in _said(LogFormat.JSON, level="debug")
    assert "session ended" not in _said(LogFormat.JSON, level="error")


def test_auto_is_json_off_a_terminal():
    assert "{" == _said(LogFormat.AUTO)[0]


def test_auto_is_for_people_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure(format=LogFormat.AUTO, stream=stream)
    logging.getLogger("pilot_core.test").warning("here")

    assert " warning here\n" == stream.getvalue()[8:]


def test_a_level_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="LOUD"):
        configure(level="loud", stream=sys.stderr)
