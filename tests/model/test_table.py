from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilot_core.model import Table

KEYS = st.text("abcdef", min_size=1, max_size=3)
CHANGES = st.lists(st.tuples(st.dictionaries(KEYS, st.integers()), st.sets(KEYS)), max_size=12)


def applied(before: dict[str, int], put: dict[str, int], drop: set[str]) -> dict[str, int]:
    merged = {**before, **put}
    return {k: v for k, v in merged.items() if k not in drop}


@given(CHANGES)
def test_a_table_holds_what_a_dict_would_hold_after_the_same_changes(changes):
    table: Table[str, int] = Table()
    expected: dict[str, int] = {}
    for put, drop in changes:
        table, expected = table.replace(put, drop), applied(expected, put, drop)
        assert expected == dict(table.items())
        assert len(expected) == len(table)


@given(st.dictionaries(KEYS, st.integers()), CHANGES)
def test_the_difference_of_two_tables_turns_the_older_into_the_newer(first, changes):
    old = new = Table(first)
    for put, drop in changes:
        new = new.replace(put, drop)
    put, drop = new.diff(old)
    assert dict(new.items()) == applied(dict(old.items()), put, set(drop))
    assert all(k not in old or old[k] != v for k, v in put.items())
    assert all(k in old for k in drop)


def test_an_older_table_is_untouched_by_what_came_from_it():
    old = Table({"a": 1, "b": 2})
    old.replace({"a": 3, "c": 4}, ["b"])
    assert dict(old.items()) == {"a": 1, "b": 2}


def test_a_table_that_grows_a_thousandfold_still_finds_everything():
    table: Table[int, int] = Table()
    for start in range(0, 50_000, 500):
        table = table.replace({i: -i for i in range(start, start + 500)})
    assert len(table) == 50_000
    assert all(table[i] == -i for i in range(50_000))
    assert max(len(shard) for shard in table._shards) < 1_000


def test_an_unchanged_part_is_shared_and_not_compared():
    class Loud(int):
        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

    old: Table[int, Loud] = Table({i: Loud(i) for i in range(1_000)})
    new = old.replace({2_000: Loud(0)})
    changed, removed = new.diff(old)
    assert list(changed) == [2_000]
    assert removed == ()
