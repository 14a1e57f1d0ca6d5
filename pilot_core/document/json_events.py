"""JSON as the stream of events that the YAML parser gives, so that one reader serves both.

libyaml reads most JSON, but not all: surrogate pairs (`\\ud83d\\ude00`), a tab before the first
brace and keys of more than 1,024 characters are errors to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import ClassVar, Self

import msgspec
import yaml

from pilot_core.errors import ConfigError, Finding

_TOKEN = re.compile(r'[ \t\r]*(?:(\n)|("(?:[^"\\]|\\.)*")|([][{},:])|([^][{},:\s"]+))')
_NEWLINE, _STRING, _MARK = 1, 2, 3

_PLAIN, _QUOTED = (True, False), (False, True)


class Event(msgspec.Struct, gc=False):
    """What the reader looks at in an event of YAML: a lighter one, as there are millions."""

    value: str
    line: int
    column: int
    implicit: tuple[bool, bool] = _PLAIN

    anchor: ClassVar[None] = None
    tag: ClassVar[None] = None

    @property
    def start_mark(self) -> Self:
        """It is its own mark; line and column count from 0."""
        return self


class Word(Event, gc=False):
    """A string, number, boolean or null."""


class SequenceStart(Event, gc=False):
    """`[`"""


class MappingStart(Event, gc=False):
    """`{`"""


def events(text: str, path: str) -> Iterator[Event | yaml.Event]:
    """The document's events. Raises ConfigError, before the first one, where it is not JSON."""
    _check(text, path)
    return _events(text)


def _events(text: str) -> Iterator[Event | yaml.Event]:
    line = start = 0
    yield yaml.DocumentStartEvent()
    for token in _TOKEN.finditer(text):
        group = token.lastindex
        if group == _NEWLINE:
            line, start = line + 1, token.end()
            continue
        assert group is not None
        written, column = token[group], token.start(group) - start
        if group == _STRING:
            yield Word(_unquoted(written), line, column, _QUOTED)
        elif group != _MARK:
            yield Word(written, line, column)
        elif written == "[" or written == "{":
            yield (SequenceStart if written == "[" else MappingStart)(written, line, column)
        elif written == "]" or written == "}":
            yield _SEQUENCE_END if written == "]" else _MAPPING_END
    yield yaml.DocumentEndEvent()


_SEQUENCE_END, _MAPPING_END = yaml.SequenceEndEvent(), yaml.MappingEndEvent()


def _unquoted(token: str) -> str:
    return str(json.loads(token)) if "\\" in token else token[1:-1]


def _check(text: str, path: str) -> None:
    """Raise ConfigError where the text is not JSON; what passes here needs no checks above."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise _not_json(text, path, str(error)) from None
    except RecursionError:
        raise ConfigError(Finding(path, 1, 1, "not readable: nested too deep")) from None


def _not_json(text: str, path: str, words: str) -> ConfigError:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        return ConfigError(Finding(path, error.lineno, error.colno, message))
    except (ValueError, RecursionError):
        pass  # the first parser's words are as good
    # Python's parser knows more (NaN) than JSON has: then the strict parser says where.
    found = re.search(r"\(byte (\d+)\)", words)
    before = text.encode()[: int(found[1]) if found else 0].decode(errors="replace")
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    reason = words.removeprefix("JSON is malformed: ").partition(" (byte")[0].lower()
    return ConfigError(Finding(path, line, column, f"not JSON: {reason}"))
