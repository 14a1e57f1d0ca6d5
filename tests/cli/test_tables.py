"""Tables: aligned, one line for each, whatever stands in the cells."""

from __future__ import annotations

import pytest

from pilot_core.cli.output import Column, Table, as_table, as_yaml

TABLE = Table(
    lambda item: str(item["a"]),
    (Column("A", lambda item: item["a"]), Column("LONG", lambda item: item["b"], is_wide=True)),
)


def _table(*items: tuple[object, object], wide: bool = True, headers: bool = True) -> str:
    rows = [{"a": a, "b": b} for a, b in items]
    return as_table(rows, TABLE, is_wide=wide, headers=headers)


def test_columns_are_as_wide_as_their_widest_cell_and_nothing_trails():
    assert "A     LONG\nshop  x\ns     longer\n" == _table(("shop", "x"), ("s", "longer"))


def test_wide_columns_are_left_out_unless_asked_for():
    assert "A\nshop\n" == _table(("shop", "x"), wide=False)


def test_nothing_is_printed_of_nothing_but_the_headers():
    assert "A  LONG\n" == _table()
    assert "" == _table(headers=False)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        ({}, "-"),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
        (["a", "b"], "a,b"),
        ({"http": 80, "x": 1}, "http=80,x=1"),
        ("two\nlines\x1b[31m", "two lines [31m"),
        ("übergrün", "übergrün"),
    ],
)
def test_every_value_is_one_line_of_printable_text(value, cell):
    assert f"{cell}\n" == _table((value, ""), wide=False, headers=False)


def test_what_stands_twice_is_written_out_twice_in_yaml():
    shared = {"ads": {}}

    assert "a:\n  ads: {}\nb:\n  ads: {}\n" == as_yaml({"a": shared, "b": shared})
