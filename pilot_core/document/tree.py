"""A document as a light tree: values, each with the line and the column where it stands.

Rule 1: only `true` and `false` are booleans, only `null`, `~` and nothing are null, and numbers are
JSON's; every other plain word (`no`, `on`, `010`, `2024-01-01`) is a string.
Rule 2: lines and columns count from 1, columns in characters.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

import msgspec

Value: TypeAlias = str | int | float | bool | None


class Scalar(msgspec.Struct, gc=False):
    """A string, number, boolean or null."""

    value: Value
    line: int
    column: int


class Sequence(msgspec.Struct, gc=False):
    """A list."""

    items: list[Node]
    line: int
    column: int


class Entry(msgspec.Struct, gc=False):
    """A value of a mapping, with the place of its key."""

    value: Node
    line: int
    column: int


class Mapping(msgspec.Struct, gc=False):
    """A mapping; its keys are strings as they were written."""

    entries: dict[str, Entry]
    line: int
    column: int

    def get(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return entry.value if entry else None


Node: TypeAlias = Scalar | Sequence | Mapping
Placed: TypeAlias = Node | Entry


class Replaced(str):
    """A plain word in which variables were replaced: a string, or whatever its text reads as."""

    __slots__ = ()


_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMBER_STARTS = frozenset("-0123456789")
# 18 digits: more is no number anybody means, and Python converts long ones in quadratic time.
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_REAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?")


def plain(text: str) -> Value:
    """What a word without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
