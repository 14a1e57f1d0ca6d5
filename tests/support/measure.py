"""How long and how deep Python code is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import repository

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Function(NamedTuple):
    """One function; lines without its docstring and decorators."""

    where: str
    lines: int
    depth: int
    parameters: int


def functions(path: Path) -> Iterator[Function]:
    """All functions and methods of a file."""
    for node in ast.walk(repository.tree(path)):
        if isinstance(node, _DEFINITIONS):
            where = f"{repository.shown(path)}:{node.lineno} {node.name}"
            yield Function(where, _lines(node), _depth(node.body), _parameters(node))


def docstring(node: Definition | ast.ClassDef | ast.Module) -> ast.Expr | None:
    """The statement that is its docstring."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return first if isinstance(first.value.value, str) else None
    return None


def _lines(node: Definition) -> int:
    documentation = docstring(node)
    documented = 0
    if documentation is not None:
        documented = (documentation.end_lineno or 0) - documentation.lineno + 1
    return (node.end_lineno or node.lineno) - node.lineno + 1 - documented


def _depth(body: list[ast.stmt]) -> int:
    """How many blocks stand in one another; an `elif` is no deeper than its `if`."""
    return max((_depth_of(statement) for statement in body), default=0)


def _depth_of(statement: ast.stmt) -> int:
    if isinstance(statement, _DEFINITIONS) or not isinstance(statement, _BLOCKS):
        return 0
    inner = [_depth(body) for body in _bodies(statement)]
    if isinstance(statement, ast.If) and _is_elif(statement):
        return max(1 + _depth(statement.body), _depth_of(statement.orelse[0]))
    return 1 + max(inner, default=0)


def _is_elif(statement: ast.If) -> bool:
    return len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If)


def _bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, [])
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _parameters(node: Definition) -> int:
    """Those that can be given by place, without self; naming an argument keeps a call legible."""
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    return len([name for name in names if name not in ("self", "cls")])
