"""Single values: strings, numbers, booleans, durations and paths, and what to say of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from pilot_core.document import words
from pilot_core.document.duration import Duration
from pilot_core.document.tree import Node, Replaced, Scalar, Value, plain


class _Bad:
    """No value: there is a finding instead."""


BAD: Final = _Bad()


def _string(value: Value) -> Any:
    return str(value) if isinstance(value, str) else BAD


def _boolean(value: Value) -> Any:
    value = _read_again(value)
    return value if isinstance(value, bool) else BAD


def _integer(value: Value) -> Any:
    value = _read_again(value)
    return value if type(value) is int else BAD


def _number(value: Value) -> Any:
    value = _read_again(value)
    return float(value) if type(value) in (int, float) and value is not None else BAD


def _duration(value: Value) -> Any:
    try:
        return Duration.parse(value) if isinstance(value, str) else BAD
    except ValueError:
        return BAD


def _path(value: Value) -> Any:
    return Path(value) if isinstance(value, str) and value and "\0" not in value else BAD


def _read_again(value: Value) -> Value:
    """A string that came out of a variable may be meant as a number or a boolean."""
    return plain(value) if isinstance(value, Replaced) else value


READERS: dict[Any, Callable[[Value], Any]] = {
    str: _string,
    bool: _boolean,
    int: _integer,
    float: _number,
    Duration: _duration,
    Path: _path,
}

_EXPECTED = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Duration: "a duration such as 250ms, 30s, 5m or 1h",
    Path: "a path",
}


def mismatch(wanted: Any, node: Node) -> str:
    """`expected a string, found the number 80: put it in quotes`."""
    said = f"expected {_EXPECTED[wanted]}, found {words.found(node)}"
    hint = _hint(wanted, node.value) if isinstance(node, Scalar) else ""
    return f"{said}: {hint}" if hint else said


def limit(error: msgspec.ValidationError) -> str:
    """`expected a whole number >= 1`, from msgspec's "Expected `int` >= 1"."""
    said = str(error)
    for name, wanted in (("str", str), ("int", int), ("float", float)):
        said = said.replace(f"`{name}`", _EXPECTED[wanted])
    return said[:1].lower() + said[1:].replace("`", "")


def _hint(wanted: Any, value: Value) -> str:
    if wanted is str and isinstance(value, bool | int | float):
        return "put it in quotes"
    if not isinstance(value, str):
        return "it needs a unit" if wanted is Duration and value is not None else ""
    if wanted is bool and value.lower() in ("yes", "no", "on", "off", "true", "false", "y", "n"):
        return "only true and false are booleans, in lower case and without quotes"
    if wanted in (int, float) and READERS[wanted](plain(value)) is not BAD:
        return "leave out the quotes"
    return ""
