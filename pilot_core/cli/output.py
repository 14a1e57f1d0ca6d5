"""Printing answers: tables for people, JSON and YAML for programs, names for pipes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import click

Item: TypeAlias = dict[str, Any]
_COLOURS = {
    "synced": "green",
    "nacked": "red",
    "error": "red",
    "stale": "yellow",
    "warning": "yellow",
    "starting": "yellow",
    "broken": "red",
    "incompatible": "red",
}
FORMATS = ("table", "wide", "json", "yaml", "name")


class Column(NamedTuple):
    """One column of a table; `is_wide` ones are shown with `-o wide` only."""

    head: str
    cell: Callable[[Item], Any]
    is_wide: bool = False


class Table(NamedTuple):
    """How one kind of item is shown."""

    name: Callable[[Item], str]
    columns: tuple[Column, ...]


def show(answer: Any, table: Table, format: str, *, headers: bool = True) -> None:
    """Print a listing or a single item."""
    items: list[Item] = answer.get("items", [answer])
    if format in ("json", "yaml"):
        show_document(answer, format)
    elif format == "name":
        print("".join(f"{table.name(item)}\n" for item in items), end="")
    else:
        print(as_table(items, table, is_wide=format == "wide", headers=headers), end="")


def show_document(value: Any, format: str) -> None:
    """Print a value as JSON or YAML."""
    text = as_yaml(value) if format == "yaml" else json.dumps(value, indent=2, ensure_ascii=False)
    print(text.rstrip("\n"))


def as_yaml(value: Any) -> str:
    # Imported for this format alone: it costs more than the question.
    import yaml

    class Written(yaml.SafeDumper):
        """Everything written out: `*id001` is nothing that people want to read, or paste."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    dumped: str = yaml.dump(value, Dumper=Written, sort_keys=False, allow_unicode=True, width=100)
    return dumped


def as_table(items: Sequence[Item], table: Table, *, is_wide: bool, headers: bool) -> str:
    """Aligned columns; the last one is as long as it is."""
    columns = [c for c in table.columns if is_wide or not c.is_wide]
    rows = [[_text(column.cell(item)) for column in columns] for item in items]
    if headers:
        rows.insert(0, [column.head for column in columns])
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    return "".join(_line(row, widths) for row in rows)


def _line(row: list[str], widths: list[int]) -> str:
    cells = [
        _coloured(cell) + " " * (width - len(cell)) for cell, width in zip(row, widths, strict=True)
    ]
    return "  ".join(cells).rstrip() + "\n"


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items()) or "-"
    # Whatever a registry or a proxy says stays on its line.
    return "".join(c if c.isprintable() else " " for c in str(value))


def _coloured(cell: str) -> str:
    colour = _COLOURS.get(cell)
    if colour is None or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return cell
    return click.style(cell, fg=colour)
