"""Trees to typed values: frozen msgspec structs, with everything that is wrong found in one run.

Rule 1: unknown keys, wrong types and missing keys are findings, each at its own place; decoding
goes on behind them.
Rule 2: nothing is converted quietly: a string is no number, a number no string.
Rule 3: a key without a value is the same as no key, where there is a default.
"""

from __future__ import annotations

import enum
import functools
import types
import typing
from collections.abc import Callable
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin

import msgspec

from pilot_core.document import scalars, words
from pilot_core.document.findings import Findings
from pilot_core.document.scalars import BAD
from pilot_core.document.tree import Mapping, Node, Scalar, Sequence
from pilot_core.document.words import Where
from pilot_core.errors import ConfigError

T = TypeVar("T")

Read: TypeAlias = Callable[["Decoder", Node, Where], Any]
"""A node to a value, or to BAD with a finding."""


class Decoder:
    """Decodes parts of one file, and collects the findings of all of them.

    `folder` is what relative paths are relative to; None leaves them as they are.
    """

    def __init__(self, findings: Findings, *, folder: Path | None = None) -> None:
        self.findings = findings
        self.folder = folder

    def decode(self, node: Node, wanted: type[T], where: Where = ()) -> T | None:
        """The value, or None with at least one finding."""
        read: Read = _reader(wanted)
        value = read(self, node, where)
        return None if value is BAD else value

    def refuse(self, node: Node, where: Where, message: str) -> Any:
        """Add a finding; returns BAD."""
        self.findings.add(node, words.told(where, message))
        return BAD


def decode(node: Node, wanted: type[T], *, path: str = "", folder: Path | None = None) -> T:
    """The value that the tree stands for. Raises ConfigError with all findings."""
    findings = Findings(path)
    value = Decoder(findings, folder=folder).decode(node, wanted)
    findings.raise_any()
    assert value is not None
    return value


def _reader(wanted: Any) -> Read:
    """How values of this type are read. Made once per type."""
    if wanted not in _made_readers:
        _made_readers[wanted] = _new_reader(wanted)
    return _made_readers[wanted]


_made_readers: dict[Any, Read] = {}


def _new_reader(wanted: Any) -> Read:
    if wanted == Node:
        return lambda run, node, where: node
    origin = get_origin(wanted)
    if origin is Annotated:
        return _constrained(*get_args(wanted))
    if isinstance(wanted, typing.NewType):
        return _reader(wanted.__supertype__)
    if origin in (typing.Union, types.UnionType):
        return _union(get_args(wanted))
    if origin in (tuple, list, frozenset, set):
        return _sequence(origin, get_args(wanted))
    if origin in (dict, AnyMapping):
        return _mapping(get_args(wanted)[1])
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _struct(wanted)
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return _choice({str(member.value): member for member in wanted})
    if origin is typing.Literal:
        return _choice({str(value): value for value in get_args(wanted)})
    return _scalar(wanted)


def _scalar(wanted: Any) -> Read:
    read = scalars.READERS.get(wanted)
    if read is None:
        return _anything(wanted)

    def from_scalar(run: Decoder, node: Node, where: Where) -> Any:
        value: Any = read(node.value) if type(node) is Scalar else BAD
        if value is BAD:
            return run.refuse(node, where, scalars.mismatch(wanted, node))
        if wanted is Path and run.folder is not None:
            return run.folder / value
        return value

    return from_scalar


def _anything(wanted: Any) -> Read:
    """Types that this module knows nothing of are left to msgspec, which finds one error."""

    def from_tree(run: Decoder, node: Node, where: Where) -> Any:
        try:
            return msgspec.convert(bare(node), wanted)
        except (msgspec.ValidationError, TypeError) as error:
            return run.refuse(node, where, str(error)[:1].lower() + str(error)[1:])

    return from_tree


def _choice(values: dict[str, Any]) -> Read:
    def from_word(run: Decoder, node: Node, where: Where) -> Any:
        word = node.value if type(node) is Scalar else None
        if isinstance(word, str) and word in values:
            return values[word]
        if isinstance(word, str):
            return run.refuse(node, where, words.one_of(word, values))
        expected = f"expected one of {', '.join(values)}, found {words.found(node)}"
        return run.refuse(node, where, expected)

    return from_word


def _constrained(wanted: Any, *notes: Any) -> Read:
    """A type with `msgspec.Meta` limits; msgspec itself checks them, one value at a time."""
    read = _reader(wanted)
    limits = Annotated[(wanted, *notes)]

    def within(run: Decoder, node: Node, where: Where) -> Any:
        value = read(run, node, where)
        if value is BAD:
            return BAD
        try:
            return msgspec.convert(value, limits) if type(value) in _LIMITED else value
        except msgspec.ValidationError as error:
            return run.refuse(node, where, f"{scalars.limit(error)}, found {words.found(node)}")

    return within


_LIMITED = (str, int, float, list, tuple, dict)


_UNION: Any = typing.Union
"""Type checkers want unions written out; this one is made of a tuple."""


def _union(options: tuple[Any, ...]) -> Read:
    rest = tuple(option for option in options if option is not types.NoneType)
    either = _UNION[rest]
    read = _reader(either) if len(rest) == 1 or either == Node else _anything(either)

    def optional(run: Decoder, node: Node, where: Where) -> Any:
        if len(rest) < len(options) and type(node) is Scalar and node.value is None:
            return None
        return read(run, node, where)

    return optional


def _sequence(make: Callable[[list[Any]], Any], arguments: tuple[Any, ...]) -> Read:
    item = _reader(arguments[0])

    def from_list(run: Decoder, node: Node, where: Where) -> Any:
        if type(node) is not Sequence:
            return run.refuse(node, where, f"expected a list, found {words.found(node)}")
        before = len(run.findings)
        values = [item(run, child, (where, n)) for n, child in enumerate(node.items)]
        return BAD if len(run.findings) > before else make(values)

    return from_list


def _mapping(values: Any) -> Read:
    read = _reader(values)

    def from_mapping(run: Decoder, node: Node, where: Where) -> Any:
        if type(node) is not Mapping:
            return run.refuse(node, where, f"expected a mapping, found {words.found(node)}")
        decoded = {key: read(run, entry.value, (where, key)) for key, entry in node.entries.items()}
        return BAD if any(value is BAD for value in decoded.values()) else decoded

    return from_mapping


def _struct(wanted: type[msgspec.Struct]) -> Read:
    fields = {f.encode_name: (f, _reader(f.type)) for f in msgspec.structs.fields(wanted)}
    required = [name for name, (field, _) in fields.items() if field.required]

    def from_mapping(run: Decoder, node: Node, where: Where) -> Any:
        if type(node) is not Mapping:
            return run.refuse(node, where, f"expected a mapping, found {words.found(node)}")
        before = len(run.findings)
        values: dict[str, Any] = {}
        for key, entry in node.entries.items():
            if key not in fields:
                message = words.unknown("key", key, fields)
                run.findings.add(entry, words.told(where, message))
                continue
            field, read = fields[key]
            child = entry.value
            if field.required or type(child) is not Scalar or child.value is not None:
                values[field.name] = read(run, child, (where, key))
        for name in required:
            if name not in node.entries:
                run.refuse(node, where, f'the key "{name}" is missing')
        if len(run.findings) > before:
            return BAD
        return _made(run, node, where, functools.partial(wanted, **values))

    return from_mapping


def _made(run: Decoder, node: Mapping, where: Where, make: Callable[[], Any]) -> Any:
    """The struct, unless its own `__post_init__` refuses: then a finding for each thing it says."""
    try:
        return make()
    except ConfigError as error:
        for finding in error.findings:
            entry = node.entries.get(finding.path)
            step = (where, finding.path) if finding.path else where
            run.findings.add(entry.value if entry else node, words.told(step, finding.message))
        return BAD
    except (ValueError, TypeError) as error:
        return run.refuse(node, where, str(error))


def bare(node: Node) -> Any:
    """The tree as plain dicts, lists and values, without places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [bare(item) for item in node.items]
    return {key: bare(entry.value) for key, entry in node.entries.items()}
