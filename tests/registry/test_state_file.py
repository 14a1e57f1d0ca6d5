from __future__ import annotations

import random
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilot_core.model import Endpoints
from pilot_core.registry import state_file
from registries import endpoints, service
from worlds import endpoints as any_endpoint
from worlds import services as any_service

KNOWN = {
    ("dc1", f"service/{n}"): (service(f"s{n}.mesh"), endpoints(f"s{n}.mesh", f"10.0.0.{n}"))
    for n in range(40)
}


def spoil(content: bytes, seed: int) -> bytes:
    """A few bytes are not what they were."""
    chance = random.Random(seed)
    spoilt = bytearray(content)
    for _ in range(chance.choice([1, 1, 8, 200])):
        spoilt[chance.randrange(len(spoilt))] ^= chance.randrange(1, 256)
    return bytes(spoilt)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["dc1", "dc2", ""]), st.text(st.characters(codec="utf-8"))),
        st.lists(
            st.one_of(
                any_service,
                st.lists(any_endpoint, max_size=3).map(
                    lambda es: Endpoints(hostname="a.mesh", endpoints=tuple(es))
                ),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
        max_size=5,
    )
)
def test_what_is_read_is_what_was_written(tmp_path, sources):
    path = tmp_path / "state"
    state_file.replace(path, sources)
    assert (sources, {}) == state_file.read(path)


def test_an_update_puts_replaces_and_removes(tmp_path):
    path = tmp_path / "state"
    a, b, c = (("dc1", name) for name in "abc")
    state_file.replace(path, {a: (service("a.mesh"),), b: (service("b.mesh"),)})
    state_file.update(path, {a: (), b: (service("b2.mesh"),), c: (service("c.mesh"),)})
    assert {b: (service("b2.mesh"),), c: (service("c.mesh"),)} == state_file.read(path).sources


def test_an_update_makes_no_file_for_what_would_be_only_a_part(tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        state_file.update(tmp_path / "state", KNOWN)
    assert [] == list(tmp_path.iterdir())


def test_a_new_file_takes_the_place_of_whatever_was_there(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(b"anything but a database" * 100)
    path.with_name("state-journal").write_bytes(b"a journal of another file" * 50)
    state_file.replace(path, KNOWN)
    assert KNOWN == state_file.read(path).sources
    assert [path] == list(tmp_path.iterdir())


def test_a_truncated_file_is_never_taken_for_a_whole_one(tmp_path):
    path = tmp_path / "state"
    state_file.replace(path, KNOWN)
    content = path.read_bytes()
    refused = 0
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        try:
            state = state_file.read(path)
        except sqlite3.DatabaseError:
            refused += 1
            continue
        # The last page is there in part.
        assert state.spoilt
        assert state.sources.items() <= KNOWN.items()
    assert refused > 50


def test_whatever_bytes_are_spoilt_nothing_is_read_that_had_not_been_put(tmp_path):
    path = tmp_path / "state"
    state_file.replace(path, KNOWN)
    content = path.read_bytes()
    outcomes = set()
    for seed in range(400):
        path.write_bytes(spoil(content, seed))
        try:
            state = state_file.read(path)
        except (sqlite3.Error, OSError):
            outcomes.add("refused")
            continue
        assert state.sources.items() <= KNOWN.items()
        assert len(KNOWN) == len(state.sources) + len(state.spoilt)
        outcomes.add("spoilt" if state.spoilt else "whole")
    assert {"refused", "spoilt"} <= outcomes


def test_a_file_of_another_format_is_not_guessed_at(tmp_path):
    path = tmp_path / "state"
    state_file.replace(path, KNOWN)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 77")
    database.close()
    with pytest.raises(sqlite3.DatabaseError, match="it is of format 77, this is 1"):
        state_file.read(path)


def test_a_file_that_others_touch_is_told_from_the_one_that_was_left(tmp_path):
    path = tmp_path / "state"
    left = state_file.replace(path, KNOWN)
    assert left == state_file.identity(path)
    path.write_bytes(path.read_bytes())
    assert left != state_file.identity(path)
    path.unlink()
    assert state_file.identity(path) is None


def test_an_unreadable_file_is_moved_where_it_can_be_looked_at(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(b"precious?")
    assert tmp_path / "state.unreadable" == state_file.move_aside(path)
    assert b"precious?" == (tmp_path / "state.unreadable").read_bytes()
    assert state_file.move_aside(path) is None
