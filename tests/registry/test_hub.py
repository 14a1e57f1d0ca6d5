from __future__ import annotations

import asyncio
import logging

from msgspec.structs import replace

from mesh import until
from pilot_core.adapter import Config, Unavailable
from pilot_core.clock import SystemClock
from pilot_core.registry import state_file
from pilot_core.registry.hub import FAILED
from pilot_core.registry.supervisor import STALE
from pilot_core.testing import FakeClock
from pilot_core.testing.clock import settle
from registries import Stage, endpoints, registration, running, service


class Source:
    """A registry that a test moves by hand."""

    def __init__(self, *hostnames: str, name: str = "dc1", is_reachable: bool = True) -> None:
        self.hostnames, self.name, self.is_reachable = hostnames, name, is_reachable
        self.sink = None
        self.sessions = 0
        self._closing = asyncio.Event()

    async def run(self, sink) -> None:
        self.sessions += 1
        if not self.is_reachable:
            raise Unavailable("connection refused")
        self.sink = sink
        for hostname in self.hostnames:
            sink.put(hostname, [service(hostname), endpoints(hostname, "10.0.0.1")])
        sink.synced()
        self._closing.clear()
        await self._closing.wait()
        raise Unavailable("closed")

    def close(self) -> None:
        self._closing.set()

    def registration(self, **more):
        return registration(self.name, self.run, **more)


async def unreachable(sink):
    raise Unavailable("connection refused")


async def for_ever(sink):
    await asyncio.Event().wait()


# Invariant 1: nothing is served before every required registry has synced


async def test_it_is_ready_once_every_required_registry_has_synced():
    slow = asyncio.Event()

    async def late(sink):
        await slow.wait()
        sink.synced()
        await asyncio.Event().wait()

    optional = registration("optional", unreachable, required=False)
    async with running(Source("a.mesh").registration(), registration("dc2", late), optional) as s:
        assert {"dc1": "", "dc2": "not read yet"} == s.hub.readiness()
        assert not s.hub.ready.is_set()
        slow.set()
        await settle()
        assert s.hub.ready.is_set()


async def test_it_is_ready_without_a_registry_when_the_time_for_it_has_passed(caplog):
    async with running(registration("dc1", unreachable), registration("dc2", for_ever)) as stage:
        await stage.pass_time(29.9)
        assert not stage.hub.ready.is_set()
        await stage.pass_time(0.1)
        assert stage.hub.ready.is_set()
        assert ("starting", "starting") == (stage.state("dc1"), stage.state("dc2"))
        assert [STALE, STALE] == stage.codes
    [said] = [r for r in caplog.records if r.message == "ready without all registries"]
    assert ["dc1", "dc2"] == said.missing


async def test_a_registry_that_a_reload_takes_away_is_not_waited_for():
    async with running(Source("a.mesh").registration(), registration("dc2", for_ever)) as stage:
        assert not stage.hub.ready.is_set()
        await stage.hub.reconfigure([Source("a.mesh").registration()])
        await settle()
        assert stage.hub.ready.is_set()


async def test_without_registries_it_is_ready_at_once():
    async with running() as stage:
        assert stage.hub.ready.is_set()
        assert () == stage.hub.registries()


async def test_what_was_known_is_served_at_once_and_marked_stale(tmp_path):
    path = tmp_path / "state"
    async with running(Source("a.mesh").registration(), state=path) as stage:
        assert ["a.mesh"] == stage.hostnames()
    down = registration("dc1", unreachable)
    stage = Stage(FakeClock(), path)
    await stage.hub.start([down])
    assert (["a.mesh"], "stale") == (stage.hostnames(), stage.state("dc1"))
    await settle()
    assert stage.hub.ready.is_set()
    assert "connection refused; what it last said is served" == stage.problem(STALE).message
    await stage.pass_time(3600)
    assert (["a.mesh"], ["10.0.0.1"]) == (stage.hostnames(), stage.addresses("a.mesh"))
    await stage.hub.stop()


async def test_what_is_known_from_before_is_a_problem_until_the_registry_has_been_read(tmp_path):
    path = tmp_path / "state"
    async with running(Source("a.mesh", "b.mesh").registration(), state=path):
        pass
    slow = asyncio.Event()

    async def late(sink):
        await slow.wait()
        sink.put("a.mesh", [service("a.mesh")])
        sink.synced()
        await asyncio.Event().wait()

    async with running(registration("dc1", late), state=path) as stage:
        assert "not read yet; what it last said is served" == stage.problem(STALE).message
        slow.set()
        await stage.pass_time(1)
        assert ([], "synced", ["a.mesh"]) == (stage.codes, stage.state("dc1"), stage.hostnames())


# Invariant 2: an equal put makes no delta


async def test_an_equal_put_makes_no_delta_and_an_equal_session_neither():
    source = Source("a.mesh", "b.mesh")
    async with running(source.registration()) as stage:
        world, heard = stage.hub.world, len(stage.heard)
        source.sink.put("a.mesh", [service("a.mesh"), endpoints("a.mesh", "10.0.0.1")])
        await stage.pass_time(1)
        source.close()
        await stage.pass_time(1)
        assert 2 == source.sessions
        assert (world, heard) == (stage.hub.world, len(stage.heard))


async def test_there_and_back_again_within_a_batch_is_no_delta():
    source = Source("a.mesh")
    async with running(source.registration()) as stage:
        heard = len(stage.heard)
        source.sink.drop("a.mesh")
        source.sink.put("a.mesh", [service("a.mesh"), endpoints("a.mesh", "10.0.0.1")])
        await stage.pass_time(1)
        assert heard == len(stage.heard)


async def test_a_change_of_endpoints_is_a_delta_of_endpoints_only():
    source = Source("a.mesh")
    async with running(source.registration()) as stage:
        source.sink.put("a.mesh", [service("a.mesh"), endpoints("a.mesh", "10.0.0.2")])
        await stage.pass_time(1)
        last = stage.heard[-1]
        assert (set(), {"a.mesh"}) == (last.services, last.endpoints)


# Followers


async def test_a_follower_that_fails_is_a_problem_and_keeps_no_other_from_hearing(caplog):
    source, heard = Source("a.mesh"), []

    def fails(old, new, delta):
        raise ValueError("cannot follow")

    async with running(source.registration()) as stage:
        stage.hub.follow(fails)
        stage.hub.follow(lambda old, new, delta: heard.append((old, new, delta)))
        world = stage.hub.world
        source.sink.put("b.mesh", [service("b.mesh")])
        await stage.pass_time(1)
        [(old, new, delta)] = heard
        assert (True, True, {"b.mesh"}) == (
            old is world,
            new is stage.hub.world,
            delta.services,
        )
        assert "fails failed on a change: ValueError: cannot follow" in (
            stage.problem(FAILED).message
        )
    assert 1 == len([r for r in caplog.records if r.levelno == logging.ERROR])


# Reconfiguration


async def test_an_equal_registration_is_not_touched():
    source = Source("a.mesh")
    same = source.registration()
    async with running(same) as stage:
        await stage.hub.reconfigure([replace(same, required=False, max_drop=0.1)])
        await stage.pass_time(1)
        assert (1, "synced") == (source.sessions, stage.state("dc1"))
        assert not stage.registry("dc1").required


class Other(Config, frozen=True):
    """Settings that differ."""

    url: str = ""


async def test_a_changed_one_begins_anew_and_what_it_said_stays_until_it_has_synced():
    slow = asyncio.Event()

    async def late(sink):
        await slow.wait()
        sink.put("b.mesh", [service("b.mesh")])
        sink.synced()
        await asyncio.Event().wait()

    async with running(Source("a.mesh").registration()) as stage:
        await stage.hub.reconfigure([replace(registration("dc1", late), config=Other(url="x"))])
        assert "stale" == stage.state("dc1")
        await stage.pass_time(1)
        assert (["a.mesh"], "stale", [STALE]) == (
            stage.hostnames(),
            stage.state("dc1"),
            stage.codes,
        )
        slow.set()
        await stage.pass_time(1)
        assert (["b.mesh"], "synced", []) == (stage.hostnames(), stage.state("dc1"), stage.codes)


async def test_one_that_is_taken_away_takes_its_records_and_its_problems_along():
    async def troubled(sink):
        sink.put("s", [service("b.mesh"), None])
        raise Unavailable("closed")

    async with running(
        Source("a.mesh").registration(), registration("dc2", troubled, max_drop=0.0)
    ) as stage:
        assert {"object-refused", STALE} == set(stage.codes)
        await stage.hub.reconfigure([Source("a.mesh").registration()])
        await stage.pass_time(60)
        assert (["a.mesh"], []) == (stage.hostnames(), stage.codes)
        assert ["dc1"] == [state.name for state in stage.hub.registries()]


async def test_registries_are_shown_with_what_they_hold_in_order_of_precedence():
    second = Source("c.mesh", name="dc2")
    async with running(Source("a.mesh", "b.mesh").registration(), second.registration()) as stage:
        first, last = stage.hub.registries()
        assert ("dc1", 2, 2, 2, 1) == (
            first.name,
            first.services,
            first.endpoints,
            first.sources,
            first.sessions,
        )
        assert ("dc2", 1, None) == (last.name, last.services, last.held)
        await stage.hub.reconfigure([second.registration(), Source("a.mesh").registration()])
        assert ["dc2", "dc1"] == [state.name for state in stage.hub.registries()]


# Last known good


async def test_the_state_file_follows_what_is_served(tmp_path):
    path, source = tmp_path / "state", Source("a.mesh")

    def kept() -> set[str]:
        found = state_file.read(path).sources if path.exists() else {}
        return {source for _, source in found}

    async def holds_b():
        return kept() == {"a.mesh", "b.mesh"}

    async with running(source.registration(), clock=SystemClock(), state=path) as stage:
        source.sink.put("b.mesh", [service("b.mesh")])
        await until(holds_b, "b.mesh to be written")
        path.unlink()
        await until(holds_b, "everything to be written again though nothing changes")
        source.sink.drop("a.mesh")
        source.sink.put("c.mesh", [service("c.mesh")])
    assert {"b.mesh", "c.mesh"} == kept()
    assert [] == stage.codes


async def test_what_is_taken_out_of_the_configuration_is_taken_out_of_the_file(tmp_path):
    path = tmp_path / "state"
    both = [Source("a.mesh").registration(), Source("b.mesh", name="dc2").registration()]
    async with running(*both, state=path):
        pass
    async with running(both[0], state=path) as stage:
        assert ["a.mesh"] == stage.hostnames()
    assert {("dc1", "a.mesh")} == state_file.read(path).sources.keys()


async def test_half_of_a_first_view_is_not_served_by_the_next_start(tmp_path):
    path = tmp_path / "state"

    async def half(sink):
        sink.put("a.mesh", [service("a.mesh")])
        await asyncio.Event().wait()

    async def nothing(sink):
        await asyncio.Event().wait()

    async with running(registration("dc1", half), state=path) as stage:
        assert ["a.mesh"] == stage.hostnames()
    async with running(registration("dc1", nothing), state=path) as stage:
        assert ([], "starting", False) == (
            stage.hostnames(),
            stage.state("dc1"),
            stage.hub.ready.is_set(),
        )


async def test_the_first_view_is_in_the_file_as_soon_as_it_is_complete(tmp_path):
    path = tmp_path / "state"

    async def whole(sink):
        for name in ("a.mesh", "b.mesh"):
            sink.put(name, [service(name)])
        sink.synced()
        # Whatever is written now has to have all of it.
        await stage.lastgood.flush()
        seen.append({source for _, source in state_file.read(path).sources})
        await asyncio.Event().wait()

    seen: list[set[str]] = []
    stage = Stage(FakeClock(), path)
    await stage.hub.start([registration("dc1", whole)])

    async def written():
        return seen

    await until(written, "the state to be written")
    await stage.hub.stop()
    assert [{"a.mesh", "b.mesh"}] == seen
