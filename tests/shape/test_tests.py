"""What a test is: it asserts something, and waits for what it asserts rather than for the clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import repository

_ASSERTING = {"raises", "warns", "fail", "deprecated_call"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_every_test_asserts_something() -> None:
    asserting = _asserting_names()
    silent = [
        f"{repository.shown(path)}:{node.lineno} {node.name}"
        for path in repository.tests()
        for node in _functions(path)
        if node.name.startswith("test_") and not _asserts(node, asserting)
    ]

    assert [] == silent


def test_no_test_waits_for_the_clock() -> None:
    # Benchmarks measure time, and so may wait for it.
    sleeping = [
        f"{repository.shown(path)}:{node.lineno}"
        for path in repository.tests()
        if "benchmarks" not in path.parts and path.name.startswith("test_")
        for node in ast.walk(repository.tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
    ]

    assert [] == sleeping


def test_no_test_patches_our_own_code() -> None:
    patching = [
        f"{repository.shown(path)}:{number}"
        for path in repository.tests()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "unittest" + ".mock" in line or "monkeypatch." + "setattr(pilot_" in line
    ]

    assert [] == patching


def _functions(path: repository.Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(repository.tree(path)):
        if isinstance(node, _DEFINITIONS):
            yield node


def _asserting_names() -> set[str]:
    """Functions of the test code that assert, be it through others."""
    functions = [node for path in repository.tests() for node in _functions(path)]
    found: set[str] = set(_ASSERTING)
    while True:
        more = {node.name for node in functions if _asserts(node, found)} - found
        if not more:
            return found
        found |= more


def _asserts(node: ast.AST, asserting: set[str]) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assert | ast.Raise):
            return True
        if isinstance(inner, ast.Call) and ast.unparse(inner.func).split(".")[-1] in asserting:
            return True
    return False
