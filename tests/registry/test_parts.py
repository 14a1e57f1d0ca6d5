"""Parts of a platform that cannot be read: what was put of them stays."""

from __future__ import annotations

import pytest

from pilot_core.registry.remarks import NOT_HONOURED, PART_STALE
from registries import service
from sessions import Registry, put


@pytest.fixture
def registry() -> Registry:
    """One in which an earlier session has put something of two parts."""
    made = Registry()
    session = made.session()
    put(session, "far/a", "far/b", "near/a", "near/b")
    session.synced()
    made.synced = 0
    return made


def codes(registry: Registry) -> list[str]:
    return [problem.code for problem in registry.problems]


def test_a_lost_part_is_kept_over_the_sync_and_the_rest_is_swept(registry):
    session = registry.session()
    session.keep("far/", "no path to far")
    put(session, "near/a")
    session.synced()
    assert ["far/a", "far/b", "near/a"] == sorted(registry.sources)
    assert (1, True, [PART_STALE]) == (registry.synced, session.is_synced, codes(registry))


def test_a_part_that_has_been_read_is_swept_and_shown_no_longer(registry):
    session = registry.session()
    session.keep("far/", "no path to far")
    put(session, "near/a")
    session.synced()
    put(session, "far/b", "far/c")
    session.synced("far/")
    assert ["far/b", "far/c", "near/a"] == sorted(registry.sources)
    assert (1, []) == (registry.synced, codes(registry))


def test_a_resync_of_the_part_is_a_reading_of_it(registry):
    session = registry.session()
    session.keep("far/", "no path to far")
    session.synced()
    with session.resync("far/"):
        put(session, "far/a")
    assert (["far/a"], []) == (sorted(registry.sources), codes(registry))


def test_a_resync_of_everything_leaves_the_lost_part(registry):
    session = registry.session()
    session.keep("far/", "no path to far")
    with session.resync(""):
        put(session, "near/a")
    assert ["far/a", "far/b", "near/a"] == sorted(registry.sources)
    assert [PART_STALE] == codes(registry)


def test_a_resync_inside_a_lost_part_is_complete(registry):
    session = registry.session()
    session.keep("far/", "half of it cannot be read")
    with session.resync("far/a"):
        put(session, "far/a2")
    assert ["far/a2", "far/b"] == sorted(s for s in registry.sources if s.startswith("far"))
    assert [PART_STALE] == codes(registry)


def test_without_anything_known_of_a_part_there_is_no_sync_without_it():
    registry = Registry()
    session = registry.session()
    session.keep("far/", "no path to far")
    put(session, "near/a")
    session.synced()
    assert (False, 0) == (session.is_synced, registry.synced)
    put(session, "far/a")
    session.synced("far/")
    assert (True, 1) == (session.is_synced, registry.synced)
    assert ["far/a", "near/a"] == sorted(registry.sources)


def test_parts_are_swept_one_by_one_and_the_rest_with_the_whole(registry):
    session = registry.session()
    put(session, "far/a")
    session.synced("far/")
    assert ["far/a", "near/a", "near/b"] == sorted(registry.sources)
    assert not session.is_synced
    put(session, "near/b")
    session.synced("far/")
    session.synced()
    assert (["far/a", "near/b"], 1) == (sorted(registry.sources), registry.synced)


def test_a_part_that_is_lost_again_is_shown_again(registry):
    session = registry.session()
    put(session, "far/a", "near/a")
    session.synced("far/")
    session.synced()
    session.keep("far/", "no path any more")
    assert [PART_STALE] == codes(registry)
    session.synced("far/")
    assert (["far/a", "near/a"], []) == (sorted(registry.sources), codes(registry))


def test_what_the_last_session_had_lost_is_over_with_the_next_sync(registry):
    registry.session().keep("far/", "no path to far")
    session = registry.session()
    put(session, "far/a")
    assert [PART_STALE] == codes(registry)
    session.synced()
    assert (["far/a"], []) == (sorted(registry.sources), codes(registry))


def test_what_is_wrong_in_a_lost_part_stays_shown(registry):
    registry.session().warn("cannot be read", source="far/b")
    session = registry.session()
    session.keep("far/", "no path to far")
    session.synced()
    assert {PART_STALE, "object-refused"} == set(codes(registry))


def test_everything_is_no_part(registry):
    with pytest.raises(ValueError, match="raise Unavailable"):
        registry.session().keep("", "nothing can be read")


def test_a_block_that_says_synced_says_it_at_its_end(registry):
    session = registry.session()
    session.keep("near/", "no path to near")
    with session.resync("far/"):
        put(session, "far/a")
        session.synced("near/")
        session.synced()
        assert 4 == len(registry.sources)
    assert (["far/a"], 1) == (sorted(registry.sources), registry.synced)


def test_a_note_is_said_after_a_put_and_is_over_with_the_next_one(registry):
    session = registry.session()
    put(session, "near/a")
    session.note("the colour is not honoured", source="near/a", origin="f:3:1")
    [problem] = registry.problems
    assert (NOT_HONOURED, "warning", "near/a", "f:3:1") == (
        problem.code,
        problem.severity,
        problem.source,
        problem.origin,
    )
    put(session, "near/a")
    assert [] == codes(registry)


def test_a_note_keeps_nothing_alive(registry):
    session = registry.session()
    session.note("its colour is not honoured", source="near/b")
    session.synced()
    assert ({}, []) == (registry.sources, codes(registry))


def test_notes_in_a_block_come_after_its_puts(registry):
    session = registry.session()
    with session.resync("near/"):
        session.note("its colour is not honoured", source="near/a")
        session.put("near/a", [service("a.mesh")])
    assert [NOT_HONOURED] == codes(registry)
