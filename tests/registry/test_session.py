from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from pilot_core.model import Origin, Port
from pilot_core.testing.clock import settle
from registries import endpoints, service
from sessions import Registry, put


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_a_put_replaces_all_of_its_source_and_nothing_else(registry):
    session = registry.session()
    session.put("s", [service("a.mesh"), service("b.mesh")])
    session.put("t", [service("c.mesh")])
    session.put("s", iter([service("b.mesh")]))
    assert {"s": ["b.mesh"], "t": ["c.mesh"]} == registry.sources
    session.drop("s")
    assert {"t": ["c.mesh"]} == registry.sources


def test_what_an_earlier_session_put_stays_until_the_next_one_has_synced(registry):
    put(registry.session(), "a", "b")
    session = registry.session()
    put(session, "b", "c")
    assert ["a", "b", "c"] == sorted(registry.sources)
    session.synced()
    assert ["b", "c"] == sorted(registry.sources)


def test_syncing_again_changes_nothing(registry):
    session = registry.session()
    session.synced()
    put(session, "a")
    put(registry.session(), "b")
    session.synced()
    assert (["a", "b"], 1) == (sorted(registry.sources), registry.synced)


def test_what_earlier_sessions_put_is_known_to_the_next_one_by_prefix(registry):
    put(registry.session(), "a/1", "a/2", "b/1")
    session = registry.session()
    assert frozenset(("a/1", "a/2")) == session.known("a/")
    session.drop("a/1")
    assert frozenset(("a/2", "b/1")) == session.known("")


def test_a_session_that_is_over_changes_nothing_any_more(registry):
    session = registry.session()
    put(session, "a")
    session.close()
    put(session, "b")
    session.drop("a")
    session.warn("late", source="a")
    session.synced()
    with session.resync(""):
        put(session, "c")
    assert (["a"], [], 0) == (sorted(registry.sources), registry.refused, registry.synced)


# Resync


def test_a_resync_applies_at_its_end_and_drops_what_was_not_put_under_its_prefix(registry):
    session = registry.session()
    put(session, "shop/a", "shop/b", "bank/a")
    with session.resync("shop/"):
        put(session, "shop/c", "bank/b")
        assert ["bank/a", "shop/a", "shop/b"] == sorted(registry.sources)
    assert ["bank/a", "bank/b", "shop/c"] == sorted(registry.sources)


def test_a_resync_that_fails_changes_nothing(registry):
    session = registry.session()
    put(session, "a")
    with contextlib.suppress(KeyError), session.resync(""):
        put(session, "b")
        session.warn("odd", source="b")
        session.synced()
        raise KeyError("cut off")
    assert ({"a": ["a.mesh"]}, [], 0) == (registry.sources, registry.refused, registry.synced)
    put(session, "c")
    assert ["a", "c"] == sorted(registry.sources)


def test_resyncs_do_not_nest(registry):
    session = registry.session()
    with session.resync(""), pytest.raises(RuntimeError, match="resync blocks do not nest"):
        session.resync("").__enter__()


def test_what_is_warned_about_in_a_resync_is_kept(registry):
    session = registry.session()
    put(session, "a", "b")
    with session.resync(""):
        session.warn("cannot be read", source="a")
    assert (["a"], [("a", "cannot be read")]) == (sorted(registry.sources), registry.refused)


def test_syncing_inside_a_resync_waits_for_its_end(registry):
    put(registry.session(), "old")
    session = registry.session()
    with session.resync("x"):
        put(session, "new")
        session.synced()
        assert not session.is_synced
    assert (["new"], True) == (sorted(registry.sources), session.is_synced)


async def test_a_resync_is_its_own_task_s_and_that_of_the_tasks_it_starts(registry):
    session, inside, done = registry.session(), asyncio.Event(), asyncio.Event()

    async def other_watch():
        await inside.wait()
        put(session, "other")
        done.set()

    async def page(name):
        put(session, name)

    async with asyncio.TaskGroup() as group:
        group.create_task(other_watch())
        with session.resync("p"):
            inside.set()
            await done.wait()
            assert ["other"] == sorted(registry.sources)
            await asyncio.gather(page("p1"), page("p2"))
            assert ["other"] == sorted(registry.sources)
    assert ["other", "p1", "p2"] == sorted(registry.sources)


# Refusals


def test_a_refused_record_harms_only_itself_and_what_it_said_before_stays(registry):
    session = registry.session()
    session.put("s", [service("a.mesh", namespace="old"), service("b.mesh")])
    bad = service("a.mesh", ports=(Port("x", 0),), origin=Origin("f:7:3"))
    session.put("s", [bad, service("b.mesh", namespace="new"), service("c.mesh")])
    kept = {r.hostname: r.namespace for r in registry.mirror.records("dc1", "s")}
    assert {"a.mesh": "old", "b.mesh": "new", "c.mesh": "default"} == kept
    [problem] = registry.problems
    assert ("s", "a.mesh", "f:7:3") == (problem.source, problem.object, problem.origin)
    session.put("s", [service("b.mesh")])
    assert ({"s": ["b.mesh"]}, []) == (registry.sources, registry.refused)


def test_a_record_that_is_there_twice_counts_once(registry):
    session = registry.session()
    session.put("s", [service("a.mesh", namespace="one"), service("a.mesh", namespace="two")])
    [record] = registry.mirror.records("dc1", "s")
    assert ("one", [("s", "a.mesh")]) == (record.namespace, registry.refused)
    assert "service 'a.mesh' is there twice" in next(iter(registry.problems)).message


@pytest.mark.parametrize("garbage", [None, 7, "a.mesh", {"hostname": "a.mesh"}, object])
def test_garbage_among_records_is_refused_alone(registry, garbage):
    registry.session().put("s", [garbage, service("a.mesh")])
    assert {"s": ["a.mesh"]} == registry.sources
    assert 1 == len(registry.refused)


@pytest.mark.parametrize("source", [None, 7, b"s", "caf\udce9.yaml"])
def test_a_source_that_is_no_text_is_refused_and_shown(registry, source):
    session = registry.session()
    put(session, "a")
    session.put(source, [service("b.mesh")])
    session.drop(source)
    session.warn("odd", source=source)
    with session.resync(source):
        put(session, "c")
    assert {"a": ["a.mesh"]} == registry.sources
    assert [("", repr(source))] == registry.refused


def test_records_that_cannot_be_listed_change_nothing(registry):
    session = registry.session()
    put(session, "s")

    def failing():
        yield service("x.mesh")
        raise OSError("cut off")

    with pytest.raises(OSError, match="cut off"):
        session.put("s", failing())
    assert {"s": ["s.mesh"]} == registry.sources


def test_a_warning_keeps_what_was_put_and_is_over_with_the_next_put(registry):
    put(registry.session(), "s")
    session = registry.session()
    session.warn("cannot be read", source="s", origin="f:1:2")
    session.synced()
    assert ({"s": ["s.mesh"]}, [("s", "f:1:2")]) == (registry.sources, registry.refused)
    put(session, "s")
    assert [] == registry.refused


@pytest.mark.parametrize("said", [ValueError("odd"), None, "", "x" * 100_000, "caf\udce9"])
def test_a_warning_may_be_made_of_anything(registry, said):
    registry.session().warn(said, source="s")
    [problem] = registry.problems
    assert problem.message
    assert 2_000 >= len(problem.message)


def test_a_complete_view_settles_the_refusals_of_the_last_session(registry):
    registry.session().put("s", [None])
    session = registry.session()
    put(session, "t")
    assert [("s", "NoneType")] == registry.refused
    session.synced()
    assert [] == registry.refused


# The guard


def test_a_sweep_that_is_too_large_is_held_and_let_go_by_name():
    registry = Registry(max_drop=0.5)
    put(registry.session(), "a", "b", "c")
    session = registry.session()
    session.synced()
    assert ["a", "b", "c"] == sorted(registry.sources)
    for source in "abc":
        session.drop(source)
    assert ({}, None) == (registry.sources, registry.guard.held)


def test_a_resync_is_guarded_as_a_sync_is():
    registry = Registry(max_drop=0.5)
    session = registry.session()
    put(session, "a", "b", "c")
    with session.resync(""):
        put(session, "c")
    assert ["a", "b", "c"] == sorted(registry.sources)
    with session.resync(""):
        put(session, "b", "c")
    assert (["b", "c"], None) == (sorted(registry.sources), registry.guard.held)


# Threads


async def test_a_put_from_another_thread_is_an_error_there_and_a_problem_here(registry):
    session = registry.session()
    put(session, "a")
    errors = []

    def elsewhere():
        try:
            put(session, "b")
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=elsewhere, name="watcher")
    thread.start()
    await asyncio.to_thread(thread.join)
    await settle()
    assert ["the sink was called from the thread watcher, and not from the event loop's"] == errors
    assert (["a"], [("", "wrong thread")]) == (sorted(registry.sources), registry.refused)
    session = registry.session()
    session.synced()
    assert [] == registry.refused


def test_endpoints_and_services_of_one_name_are_two_records(registry):
    registry.session().put("s", [service("a.mesh"), endpoints("a.mesh", "10.0.0.1")])
    assert {"s": ["a.mesh", "a.mesh"]} == registry.sources
