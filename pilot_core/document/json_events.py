"""JSON as the stream of events that the YAML parser gives, so that one reader serves both.

libyaml reads most JSON, but not all: surrogate pairs (`\\ud83d\\ude00`), a tab before the first
brace and keys of more than 1,024 characters are errors to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec
import yaml

from pilot_core.errors import ConfigError, Finding

_TOKEN = re.compile(
    r'[ \t\r]*(?:(?P<newline>\n)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<mark>[][{},:])'
    r"|(?P<word>[^][{},:\s\"]+))"
)
_PLAIN, _QUOTED = (True, False), (False, True)


def events(text: str, path: str) -> Iterator[yaml.Event]:
    """The document's events. Raises ConfigError, before the first one, where it is not JSON."""
    _check(text, path)
    return _events(text)


def _events(text: str) -> Iterator[yaml.Event]:
    line = start = 0
    yield yaml.DocumentStartEvent()
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "newline":
            line, start = line + 1, token.end()
            continue
        at = token.start(kind or 0)
        mark = yaml.Mark("", at, line, at - start, None, 0)
        if kind == "string":
            yield yaml.ScalarEvent(None, None, _QUOTED, _unquoted(token["string"]), mark)
        elif kind == "word":
            yield yaml.ScalarEvent(None, None, _PLAIN, token["word"], mark)
        elif token["mark"] in _BRACKETS:
            yield _bracket(token["mark"], mark)
    yield yaml.DocumentEndEvent()


_BRACKETS = frozenset("[]{}")


def _bracket(character: str, mark: yaml.Mark) -> yaml.Event:
    if character == "[":
        return yaml.SequenceStartEvent(None, None, True, mark)
    if character == "{":
        return yaml.MappingStartEvent(None, None, True, mark)
    return yaml.SequenceEndEvent(mark) if character == "]" else yaml.MappingEndEvent(mark)


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
    return ConfigError(Finding(path, line, column, "not JSON: unexpected word"))
