"""Bytes in pieces are cut to runs of a length, and are all there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilot_core.http2.cutting import cut, split

pieces = st.lists(st.binary(max_size=20), max_size=6)


@given(pieces, st.integers(1, 30))
def test_runs_are_as_long_as_they_may_be_and_lose_nothing(parts, limit):
    whole = b"".join(parts)
    runs = [(length, b"".join(run)) for length, run in cut(parts, len(whole), limit)]
    assert whole == b"".join(run for _, run in runs)
    assert [length for length, _ in runs] == [len(run) for _, run in runs]
    assert all(length == limit for length, _ in runs[:-1])
    assert all(0 < length <= limit for length, _ in runs)


@given(pieces, st.integers(0, 200))
def test_a_split_is_the_first_bytes_and_the_rest(parts, length):
    first, rest = split(parts, length)
    whole = b"".join(parts)
    assert (whole[:length], whole[length:]) == (b"".join(first), b"".join(rest))


def test_what_is_cut_is_not_copied():
    part = b"x" * 100
    ((_, run), *_) = cut([part], 100, 40)
    assert part is run[0].obj
