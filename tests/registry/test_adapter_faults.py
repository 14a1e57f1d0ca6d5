"""What adapters do on bad days: whatever it is, only their own state changes, and it is shown."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading

import pytest
from msgspec.structs import replace

from mesh import until
from pilot_core.adapter import Adapter, Denied, Unavailable
from pilot_core.clock import SystemClock
from pilot_core.registry.supervisor import GRACE, STALE, STUCK, left_behind
from pilot_core.testing.clock import settle
from registries import endpoints, registration, running, service


async def for_ever() -> None:
    await asyncio.Event().wait()


def good(name: str = "good"):
    """A registry of one service that behaves."""

    async def run(sink):
        sink.put("s", [service(f"{name}.mesh")])
        sink.synced()
        await for_ever()

    return registration(name, run)


class Faulty:
    """Behaves for a session or as many as it is told, then does what the test says, then behaves
    again when it is mended."""

    def __init__(self, fault, *, after: int = 0) -> None:
        self.fault, self.good_sessions = fault, after
        self.begun = 0

    def mend(self) -> None:
        self.good_sessions = sys.maxsize

    async def run(self, sink) -> None:
        self.begun += 1
        if self.begun > self.good_sessions:
            await self.fault(sink)
            return
        sink.put("s", [service("faulty.mesh"), endpoints("faulty.mesh", "10.0.0.1")])
        sink.synced()
        if self.good_sessions < sys.maxsize:
            raise Unavailable("the end of a good session")
        await for_ever()

    @property
    def registration(self):
        return registration("faulty", self.run)


async def raises(sink):
    raise KeyError("x")


async def raises_a_group(sink):
    async with asyncio.TaskGroup() as group:
        group.create_task(for_ever())
        group.create_task(raises(sink))


async def is_refused(sink):
    raise Denied("cannot list services")


async def returns(sink):
    pass


async def exits(sink):
    sys.exit(3)


async def exits_in_a_task(sink):
    async with asyncio.TaskGroup() as group:
        group.create_task(for_ever())
        group.create_task(exits(sink))


async def exits_in_the_task_of_a_task(sink):
    async with asyncio.TaskGroup() as group:
        group.create_task(exits_in_a_task(sink))


async def interrupts_in_a_task(sink):
    async def interrupt():
        raise KeyboardInterrupt

    await asyncio.gather(interrupt(), for_ever())


async def cancels_itself(sink):
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await for_ever()


async def raises_its_own_base(sink):
    class Odd(BaseException):
        pass

    raise Odd("none of the usual")


async def puts_no_iterable(sink):
    sink.put("s", None)


FAULTS = {
    raises: "KeyError: 'x'",
    raises_a_group: "KeyError: 'x'",
    is_refused: "cannot list services",
    returns: "EOFError: the script has come to its end",
    exits: "the adapter called sys.exit(3)",
    exits_in_a_task: "the adapter called sys.exit(3)",
    exits_in_the_task_of_a_task: "the adapter called sys.exit(3)",
    interrupts_in_a_task: "the adapter raised KeyboardInterrupt",
    cancels_itself: "the adapter cancelled itself",
    raises_its_own_base: "Odd: none of the usual",
    puts_no_iterable: "TypeError: 'NoneType' object is not iterable",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_adapter_that_fails_changes_nothing_but_its_state(fault):
    faulty = Faulty(fault, after=1)
    async with running(good(), faulty.registration) as stage:
        await stage.pass_time(1)
        assert faulty.begun >= 2
        assert ("synced", "stale") == (stage.state("good"), stage.state("faulty"))
        assert FAULTS[fault] == stage.registry("faulty").error
        assert ["faulty.mesh", "good.mesh"] == stage.hostnames()
        assert ["10.0.0.1"] == stage.addresses("faulty.mesh")
        problem = stage.problem(STALE)
        assert f"{FAULTS[fault]}; what it last said is served" == problem.message
        heard = len(stage.heard)
        faulty.mend()
        await stage.pass_time(30)
        assert ("synced", None) == (stage.state("faulty"), stage.registry("faulty").error)
        assert ([], heard) == (stage.codes, len(stage.heard))


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_adapter_that_never_worked_is_starting_and_says_why(fault):
    faulty = Faulty(fault)
    async with running(good(), faulty.registration) as stage:
        assert ("starting", FAULTS[fault]) == (
            stage.state("faulty"),
            stage.registry("faulty").error,
        )
        assert f"{FAULTS[fault]}; never read so far" == stage.problem(STALE).message
        assert {"good": "", "faulty": FAULTS[fault]} == stage.hub.readiness()
        assert not stage.hub.ready.is_set()
        await stage.pass_time(30)
        assert stage.hub.ready.is_set()


async def test_an_adapter_that_returns_without_an_error_is_told_so():

    class Returning(Adapter):
        async def run(self, sink):
            return None

    plain = registration("plain", returns)

    async with running(replace(plain, adapter_type=Returning)) as stage:
        assert "run() returned; it has to go on until it is cancelled" == (
            stage.registry("plain").error
        )


async def test_an_adapter_that_cannot_be_built_is_a_registry_that_fails():

    class Unbuildable(Adapter):
        def __init__(self, config, host):
            raise OSError("no such token file")

        async def run(self, sink):
            raise AssertionError("never built")

    async with running(good(), replace(good("bad"), adapter_type=Unbuildable)) as stage:
        assert "OSError: no such token file" == stage.registry("bad").error
        assert ["good.mesh"] == stage.hostnames()


async def test_an_adapter_that_hangs_before_it_has_synced_is_shown_until_it_has():
    answered = asyncio.Event()

    async def hangs(sink):
        await answered.wait()
        sink.synced()
        await for_ever()

    async with running(good(), registration("slow", hangs)) as stage:
        assert [] == stage.codes
        await stage.pass_time(30)
        assert "no complete answer for 30 s; never read so far" == stage.problem(STALE).message
        answered.set()
        await settle()
        assert ([], "synced") == (stage.codes, stage.state("slow"))


async def test_an_adapter_that_does_not_stop_is_left_behind_and_holds_up_nobody():
    let_go = asyncio.Event()
    before = left_behind()

    async def stubborn(sink):
        sink.put("s", [service("stubborn.mesh")])
        sink.synced()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                sink.put("t", [service("late.mesh")])

    async with running(good(), registration("stubborn", stubborn)) as stage:
        await stage.hub.reconfigure([good(), good("successor")])
        await stage.pass_time(1)
        assert ["good.mesh", "successor.mesh"] == stage.hostnames()
        assert [] == stage.codes
        await stage.pass_time(GRACE)
        assert "the adapter did not stop within 5 s" in stage.problem(STUCK).message
        assert before + 1 == left_behind()
        let_go.set()
        await settle()
        assert ([], before) == (stage.codes, left_behind())


async def test_a_successor_waits_for_the_one_that_does_not_stop_but_no_longer_than_the_grace():
    let_go = asyncio.Event()

    async def stubborn(sink):
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    async with running(registration("dc1", stubborn)) as stage:
        await stage.hub.reconfigure([good("dc1")])
        await stage.pass_time(GRACE - 0.1)
        assert [] == stage.hostnames()
        await stage.pass_time(0.2)
        assert (["dc1.mesh"], "synced") == (stage.hostnames(), stage.state("dc1"))
        let_go.set()
        await settle()


async def test_an_adapter_that_fails_while_it_stops_is_logged_and_harms_nobody(caplog):
    async def fails_late(sink):
        try:
            await for_ever()
        finally:
            raise OSError("cannot say goodbye")

    async with running(good(), registration("rude", fails_late)) as stage:
        await stage.hub.reconfigure([good()])
        await stage.pass_time(1)
        assert ["good.mesh"] == stage.hostnames()
    assert ["adapter failed while it stopped"] == [
        r.message for r in caplog.records if r.levelno >= logging.WARNING
    ]


async def test_a_flood_of_changes_costs_a_few_batches_and_starves_nobody():
    flooding = asyncio.Event()

    async def floods(sink):
        sink.synced()
        await flooding.wait()
        for n in range(20_000):
            sink.put(f"s{n % 100}", [service(f"s{n % 100}.mesh", namespace=f"n{n}")])
            if n % 100 == 99:
                await asyncio.sleep(0)
        sink.put("end", [service("end.mesh")])
        await for_ever()

    async with running(good(), registration("flood", floods)) as stage:
        before = len(stage.heard)
        flooding.set()
        for _ in range(20):
            await settle()
        await stage.pass_time(1)
        assert {"end.mesh", "good.mesh", "s99.mesh"} <= set(stage.hostnames())
        assert "n19999" == stage.hub.world.services["s99.mesh"].service.namespace
        assert 5 > len(stage.heard) - before


async def test_a_flood_of_garbage_is_bounded_in_what_it_shows():
    async def rubbish(sink):
        for n in range(5_000):
            sink.put(f"s{n}", [None, n, service("X!"), service(f"good{n}.mesh")])
        sink.synced()
        await for_ever()

    async with running(registration("dc1", rubbish)) as stage:
        assert 5_000 == len(stage.hostnames())
        assert 1_001 == len(stage.problems)
        assert 5_000 <= stage.registry("dc1").warnings


async def test_an_adapter_that_puts_from_a_thread_is_shown_though_it_goes_on():
    async def threaded(sink):
        sink.put("s", [service("a.mesh")])
        sink.synced()

        def elsewhere():
            with pytest.raises(RuntimeError, match="called from the thread watcher"):
                sink.put("t", [service("b.mesh")])

        thread = threading.Thread(target=elsewhere, name="watcher")
        thread.start()
        await asyncio.to_thread(thread.join)
        await for_ever()

    async with running(registration("dc1", threaded), clock=SystemClock()) as stage:

        async def told():
            return stage.codes

        assert ["object-refused"] == await until(told, "a problem")
        assert (["a.mesh"], "synced") == (stage.hostnames(), stage.state("dc1"))


async def test_the_same_bug_is_told_with_a_traceback_once_and_an_outage_never(caplog):
    faulty = Faulty(raises)
    async with running(faulty.registration) as stage:
        for _ in range(4):
            await stage.pass_time(30)
    bugs = [r for r in caplog.records if "bug" in r.message]
    assert 4 <= len(bugs)
    assert [True] + [False] * (len(bugs) - 1) == [bool(r.exc_info) for r in bugs]
    caplog.clear()

    async def unreachable(sink):
        raise Unavailable("connection refused")

    async with running(registration("dc1", unreachable)) as stage:
        for _ in range(4):
            await stage.pass_time(30)
    ended = [r for r in caplog.records if r.message == "session ended"]
    assert [False] == [bool(r.exc_info) for r in ended if r.levelno == logging.WARNING]


async def test_a_registry_that_lies_is_held_shown_and_released():
    says = list("abcdefgh")

    async def liar(sink):
        for name in says:
            sink.put(name, [service(f"{name}.mesh")])
        sink.synced()
        raise Unavailable("closed")

    everything = [f"{name}.mesh" for name in "abcdefgh"]
    async with running(registration("liar", liar, max_drop=0.5)) as stage:
        says.clear()
        await stage.pass_time(1)
        held = stage.registry("liar").held
        assert held is not None
        assert (1.0, tuple("abcdefgh")) == (held.share, held.sources)
        assert {"sweep-held", STALE} == set(stage.codes)
        await stage.pass_time(60)
        assert everything == stage.hostnames()
        assert stage.hub.release("liar")
        await stage.pass_time(1)
        assert ([], None) == (stage.hostnames(), stage.registry("liar").held)
        assert "sweep-held" not in stage.codes
        assert not stage.hub.release("liar")
        with pytest.raises(KeyError):
            stage.hub.release("nobody")


async def test_a_registry_that_recovers_from_a_lie_needs_nobody():
    says = list("abcdefgh")

    async def liar(sink):
        for name in says:
            sink.put(name, [service(f"{name}.mesh")])
        sink.synced()
        raise Unavailable("closed")

    async with running(registration("liar", liar, max_drop=0.5)) as stage:
        says.clear()
        await stage.pass_time(1)
        assert stage.registry("liar").held is not None
        says.extend("abcdefg")
        heard = len(stage.heard)
        await stage.pass_time(60)
        assert [f"{name}.mesh" for name in "abcdefg"] == stage.hostnames()
        assert (None, heard + 1) == (stage.registry("liar").held, len(stage.heard))


async def test_a_held_sweep_goes_when_a_reload_raises_the_limit():
    says = list("abcd")

    async def liar(sink):
        for name in says:
            sink.put(name, [service(f"{name}.mesh")])
        sink.synced()
        if says:
            raise Unavailable("closed")
        await for_ever()

    held = registration("liar", liar, max_drop=0.5)
    async with running(held) as stage:
        says.clear()
        await stage.pass_time(1)
        assert ["sweep-held"] == stage.codes
        sessions = stage.registry("liar").sessions
        await stage.hub.reconfigure([replace(held, max_drop=1.0)])
        await stage.pass_time(1)
        assert ([], []) == (stage.hostnames(), stage.codes)
        assert sessions == stage.registry("liar").sessions
