"""YAML and JSON text to trees: strict, with places, in one pass over libyaml's events.

Rule 1: text that is no document at all raises, with that one finding. What can be read around
(a duplicate key) is a finding, and reading goes on.
Rule 2: work and memory are bounded by the size of the text: depth is limited, an alias shares the
tree that it names, and what all aliases together stand for is limited too.
Rule 3: the items of one long list can be handed over one by one, so that a large file never
stands in memory as a whole tree.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import yaml
from yaml._yaml import CParser

from pilot_core.document import json_events
from pilot_core.document.findings import Findings
from pilot_core.document.tree import Entry, Mapping, Node, Scalar, Sequence, plain
from pilot_core.errors import ConfigError, Finding

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 48
MAX_ALIASED = 200_000
"""How many nodes all aliases of a file may stand for."""

_MERGE = "<<"
_SCALARS = frozenset({yaml.ScalarEvent, json_events.Word})
_SEQUENCES = frozenset({yaml.SequenceStartEvent, json_events.SequenceStart})

Visit: TypeAlias = Callable[[Node, int, Findings], None]
"""Called with an item of the long list, its index, and what is wrong in it so far."""


def documents(
    content: bytes | str,
    findings: Findings,
    *,
    each: str = "",
    visit: Visit | None = None,
    is_json: bool = False,
) -> Iterator[Node]:
    """The documents of a file, one after another; an empty one is a null. It is JSON where
    `is_json` says so, or the file's name.

    With `visit`, the items of the list under the top-level key `each` are handed to it instead of
    being kept, each with findings of its own. Raises ConfigError where the text cannot be read;
    then nothing that was visited or yielded before is worth anything.
    """
    text = _text(content, findings.path)
    events = _events(text, findings.path, is_json or findings.path.endswith(".json"))
    reader = _Reader(events, findings, each, visit)
    try:
        yield from reader.documents()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text, findings.path) from None
    except yaml.reader.ReaderError as error:
        line, column = _place(text, error.position)
        message = f"not YAML: character U+{_code(error.character):04X} is not allowed"
        raise ConfigError(Finding(findings.path, line, column, message)) from None


def document(content: bytes | str, findings: Findings) -> Node:
    """The one document of a file. Raises ConfigError where there are more."""
    first, *more = list(documents(content, findings)) or [Scalar(None, 1, 1)]
    if more:
        where = more[0]
        message = "a second document begins here, where one is expected"
        raise ConfigError(Finding(findings.path, where.line, where.column, message))
    return first


class _Reader:
    """Events in, nodes out. One for each file."""

    def __init__(
        self, events: Callable[[], Any], findings: Findings, each: str, visit: Visit | None
    ) -> None:
        self._next, self._findings = events, findings
        self._each, self._visit = each, visit
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0
        self._aliased = 0

    def documents(self) -> Iterator[Node]:
        while (event := self._next()) is not None:
            if type(event) is yaml.DocumentStartEvent:
                self._anchors.clear()
                yield self._node(self._next(), 0)

    def _node(self, event: Any, depth: int) -> Node:
        kind = type(event)
        self._nodes += 1
        if kind is yaml.AliasEvent:
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None:
            self._refuse_tag(event)
        before = self._nodes
        if kind in _SCALARS:
            node: Node = _scalar(event)
        elif kind in _SEQUENCES:
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._nodes - before + 1)
        return node

    def _sequence(self, start: Any, depth: int) -> Sequence:
        items: list[Node] = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            items.append(self._node(event, depth + 1))
        return Sequence(items, start.start_mark.line + 1, start.start_mark.column + 1)

    def _mapping(self, start: Any, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        merged: list[Node] = []
        while type(event := self._next()) is not yaml.MappingEndEvent:
            name = self._key(event)
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            value = self._value(name, depth)
            if name == _MERGE and event.implicit[0]:
                merged.append(value)
            elif name in entries:
                first = entries[name]
                message = f'duplicate key "{name}", first at line {first.line}'
                self._findings.add_at(line, column, message)
            else:
                entries[name] = Entry(value, line, column)
        for value in merged:
            self._merge(entries, value)
        return Mapping(entries, start.start_mark.line + 1, start.start_mark.column + 1)

    def _key(self, event: Any) -> str:
        if type(event) not in _SCALARS:
            raise self._error(event, "a key must be a plain word or a string")
        if event.anchor is not None:
            self._anchors[event.anchor] = (_scalar(event), 1)
        return str(event.value)

    def _value(self, name: str, depth: int) -> Node:
        event = self._next()
        wanted = depth == 0 and self._visit is not None and name == self._each
        # An anchored list may be asked for again, so it has to be kept.
        if wanted and type(event) in _SEQUENCES and event.anchor is None:
            return self._visited(event)
        return self._node(event, depth + 1)

    def _visited(self, start: Any) -> Sequence:
        assert self._visit is not None
        whole, index = self._findings, 0
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            self._findings = Findings(whole.path)
            self._visit(self._node(event, 2), index, self._findings)
            index += 1
        self._findings = whole
        return Sequence([], start.start_mark.line + 1, start.start_mark.column + 1)

    def _alias(self, event: Any) -> Node:
        known = self._anchors.get(event.anchor)
        if known is None:
            raise self._error(event, f"alias *{event.anchor} has no anchor before it")
        node, size = known
        # What an alias stands for counts as if it were written out, so that aliases of aliases
        # of aliases are found out before anybody walks them.
        self._nodes += size - 1
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise self._error(event, f"aliases stand for more than {MAX_ALIASED} nodes")
        return node

    def _merge(self, entries: dict[str, Entry], value: Node) -> None:
        """The mappings under `<<`: keys that are written out win, then those of earlier ones."""
        sources = value.items if isinstance(value, Sequence) else [value]
        for source in sources:
            if not isinstance(source, Mapping):
                self._findings.add(value, "only mappings can be merged with <<")
                return
            for name, entry in source.entries.items():
                entries.setdefault(name, entry)

    def _refuse_tag(self, event: Any) -> None:
        mark = event.start_mark
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        message = f"tags such as {tag} are not supported; put a string in quotes instead"
        self._findings.add_at(mark.line + 1, mark.column + 1, message)

    def _error(self, event: Any, message: str) -> ConfigError:
        mark = event.start_mark
        return ConfigError(
            Finding(self._findings.path, mark.line + 1, mark.column + 1, f"not readable: {message}")
        )


def _scalar(event: Any) -> Scalar:
    mark = event.start_mark
    value = plain(event.value) if event.implicit[0] else event.value
    return Scalar(value, mark.line + 1, mark.column + 1)


def _events(text: str, path: str, is_json: bool) -> Callable[[], Any]:
    """Gives the next event at each call, at last None."""
    if is_json:
        return functools.partial(next, json_events.events(text, path), None)
    parse: Callable[[], Any] = CParser(text).get_event
    return parse


def _text(content: bytes | str, path: str) -> str:
    if len(content) > MAX_BYTES:
        message = f"larger than {MAX_BYTES // 1024 // 1024} MiB, the most that is read of one file"
        raise ConfigError(Finding(path, 0, 0, message))
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        line, column = _place(before, len(before))
        message = f"not text: byte 0x{content[error.start]:02x} is not UTF-8"
        raise ConfigError(Finding(path, line, column, message)) from None


def _not_yaml(error: yaml.MarkedYAMLError, text: str, path: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    words = " ".join(part for part in (error.context, error.problem) if part)
    message = f"not YAML: {words or 'it cannot be parsed'}"
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if "${" in "".join(text.split("\n")[line - 1 : line]):
        message += "; a ${VAR} between braces or brackets has to stand in quotes"
    return ConfigError(Finding(path, line, column, message))


def _place(text: str, offset: int) -> tuple[int, int]:
    line = text.count("\n", 0, offset) + 1
    return line, offset - (text.rfind("\n", 0, offset) + 1) + 1


def _code(character: int | str) -> int:
    """PyYAML gives a number or a character, depending on which of its parsers found it."""
    return character if isinstance(character, int) else ord(character[:1] or "\0")
