"""How the sources are cut: short files, short functions, flat bodies, each with its sentence."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator

import measure
import repository

LONGEST_FILE, LONGEST_FUNCTION, DEEPEST, MOST_PARAMETERS = 450, 60, 3, 6
MEDIAN_FILE, MEDIAN_FUNCTION = 140, 8
_UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
_EMPTY = re.compile(r"\braise " + "NotImplemented" + r"Error\b")


def test_no_file_is_longer_than_a_reader_can_hold_in_mind() -> None:
    everywhere = (*repository.sources(), *repository.tests())
    lengths = {repository.shown(p): len(p.read_text().splitlines()) for p in everywhere}

    assert {} == {name: n for name, n in lengths.items() if n > LONGEST_FILE}


def test_no_function_is_longer_than_a_screen() -> None:
    found = [f for path in (*repository.sources(), *repository.tests()) for f in _functions(path)]

    assert [] == [f"{f.where}: {f.lines} lines" for f in found if f.lines > LONGEST_FUNCTION]


def test_bodies_are_flat() -> None:
    found = [f for path in repository.sources() for f in _functions(path)]

    assert [] == [f"{f.where}: {f.depth} deep" for f in found if f.depth > DEEPEST]


def test_no_function_takes_more_arguments_by_place_than_a_call_can_show() -> None:
    found = [f for path in repository.sources() for f in _functions(path)]

    assert [] == [
        f"{f.where}: {f.parameters} parameters" for f in found if f.parameters > MOST_PARAMETERS
    ]


def test_the_usual_file_and_function_are_short() -> None:
    files = [len(path.read_text().splitlines()) for path in repository.sources()]
    functions = [f.lines for path in repository.sources() for f in _functions(path)]
    print(f"medians: file {statistics.median(files)}, function {statistics.median(functions)}")

    assert statistics.median(files) <= MEDIAN_FILE
    assert statistics.median(functions) <= MEDIAN_FUNCTION


def test_every_module_says_in_a_sentence_what_it_is() -> None:
    silent = [p for p in repository.sources() if not ast.get_docstring(repository.tree(p))]

    assert [] == [repository.shown(p) for p in silent if p.read_text().strip()]


def test_nothing_is_left_for_later() -> None:
    everywhere = (*repository.sources(), *repository.tests())
    lines = [
        f"{repository.shown(path)}:{number}"
        for path in everywhere
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if _UNFINISHED.search(line) or _EMPTY.search(line)
    ]

    assert [] == lines


def test_no_error_is_swallowed_without_a_word() -> None:
    swallowed = [where for path in repository.sources() for where in _swallowed(path)]

    assert [] == swallowed


def _functions(path: repository.Path) -> Iterator[measure.Function]:
    return measure.functions(path)


def _swallowed(path: repository.Path) -> Iterator[str]:
    """Handlers of everything, or of any Exception, that do nothing."""
    for node in ast.walk(repository.tree(path)):
        if isinstance(node, ast.ExceptHandler) and _is_empty(node.body) and _is_broad(node.type):
            yield f"{repository.shown(path)}:{node.lineno}"


def _is_empty(body: list[ast.stmt]) -> bool:
    return all(isinstance(statement, ast.Pass) for statement in body)


def _is_broad(kind: ast.expr | None) -> bool:
    return kind is None or (
        isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")
    )
