"""Who leads, by a lock in a real Consul: one at a time, and no longer than Consul says."""

from __future__ import annotations

import asyncio

import pytest

from consul_lock import KEY, Replica, running
from consul_server import ConsulAgent, ConsulCluster
from pilot_adapter_consul.lock import LockSettings
from pilot_core.adapter import Denied, Term
from pilot_core.clock import SystemClock
from pilot_core.testing import FakeClock
from server_process import wait_for

TTL = LockSettings(key=KEY, holder="").ttl


@pytest.fixture(autouse=True)
async def free(consul: ConsulAgent) -> None:
    for session in await consul.call("GET", "/v1/session/list"):
        await consul.call("PUT", f"/v1/session/destroy/{session['ID']}")
    await consul.call("DELETE", f"/v1/kv/{KEY}")


async def holder(consul: ConsulAgent) -> str:
    [key] = await consul.call("GET", f"/v1/kv/{KEY}")
    return str(key.get("Session", ""))


async def sessions_of(consul: ConsulAgent) -> list[str]:
    return [session["Name"] for session in await consul.call("GET", "/v1/session/list")]


async def test_one_leads_and_the_other_waits_until_the_first_is_done(consul):
    first, second = Replica("first"), Replica("second")
    async with running(consul, first) as one:
        before = await first.led()
        async with running(consul, second):
            await wait_for(lambda: _has(consul, "second"), "the second one's session")
            assert [] == second.terms
            first.done.set()
            assert "first" == await one
            after = await second.led()

    assert [before] == first.terms
    assert before.fence < after.fence
    assert not before.holds()


async def _has(consul: ConsulAgent, name: str) -> bool:
    return name in await sessions_of(consul)


async def test_who_is_stopped_gives_the_lock_back_and_leaves_no_session(consul):
    replica = Replica("only")
    async with running(consul, replica):
        term = await replica.led()
        assert await holder(consul)

    assert "" == await holder(consul)
    assert [] == await sessions_of(consul)
    assert [True] == replica.held_at_the_end
    assert not term.holds()


async def test_the_error_of_a_leader_ends_its_run_and_frees_the_lock(consul):
    replica = Replica("only")
    replica.fails = ValueError("the work went wrong")
    replica.done.set()
    with pytest.raises(BaseExceptionGroup) as ended:
        async with running(consul, replica) as task:
            await asyncio.wait([task])

    assert ended.group_contains(ValueError, match="the work went wrong")
    assert "" == await holder(consul)


async def test_a_session_that_is_destroyed_ends_the_term_and_a_new_one_has_a_higher_fence(consul):
    replica = Replica("only")
    async with running(consul, replica):
        first = await replica.led(1)
        await consul.call("PUT", f"/v1/session/destroy/{await holder(consul)}")
        second = await replica.led(2)

        assert not first.holds()
        assert first.fence < second.fence


async def test_the_fence_grows_even_where_somebody_deletes_the_key(consul):
    replica = Replica("only")
    async with running(consul, replica):
        first = await replica.led(1)
        await consul.call("DELETE", f"/v1/kv/{KEY}")
        second = await replica.led(2)

    assert first.fence < second.fence


async def test_a_leader_that_hears_nothing_steps_down_before_its_time_is_up(consul):
    clock, replica = FakeClock(), Replica("only")
    async with running(consul, replica, clock=clock):
        term = await replica.led()
        consul.process.suspend()
        try:
            await clock.advance(TTL * 0.79)
            assert term.holds()
            assert replica.leads
            await clock.advance(TTL * 0.02)
            assert not term.holds()
            assert not replica.leads
        finally:
            consul.process.resume()


async def test_a_leader_that_is_heard_leads_for_longer_than_its_time(consul):
    clock, replica = FakeClock(), Replica("only")
    async with running(consul, replica, clock=clock):
        term = await replica.led()
        for _ in range(10):
            await _renewed(clock, term)

        assert term.holds()
        assert [term] == replica.terms


async def _renewed(clock: FakeClock, term: Term) -> None:
    """Let time pass until the next renewal, and wait for its effect."""
    before = term.remaining()

    async def look() -> bool:
        return term.remaining() >= before - 0.001

    await clock.advance(TTL / 3)
    await wait_for(look, "a renewal")


class Sleeping(SystemClock):
    """A process that is suspended finds its clock ahead before any of its timers runs."""

    slept = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept


async def test_a_leader_that_slept_through_its_time_knows_before_it_writes(consul):
    clock, replica = Sleeping(), Replica("only")
    async with running(consul, replica, clock=clock):
        term = await replica.led()
        clock.slept = TTL

        assert not term.holds()
        assert replica.leads


async def test_without_quorum_a_leader_steps_down_and_with_it_one_leads_again():
    async with ConsulCluster() as cluster:
        leader = await cluster.leader()
        near, far = (agent for agent in cluster.agents if agent is not leader)
        clock, replica = FakeClock(), Replica("only")
        async with running(near, replica, clock=clock) as task:
            first = await replica.led(1)
            await asyncio.gather(leader.process.kill(), far.process.kill())
            while replica.leads:
                await clock.advance(TTL / 15)
            assert not first.holds()
            assert not task.done()

            await asyncio.gather(leader.process.start(), far.process.start())
            again = asyncio.create_task(replica.led(2))
            while not again.done():
                await clock.advance(0.5)
                await asyncio.wait([again], timeout=0.1)
            assert first.fence < (await again).fence


async def test_a_token_without_the_right_is_denied(tmp_path):
    token = tmp_path / "token"
    token.write_text("00000000-1111-2222-3333-444444444444")
    async with ConsulAgent(acl=True) as locked:
        with pytest.raises(BaseExceptionGroup) as denied:
            async with running(locked, Replica("nobody"), token_file=token) as task:
                await asyncio.wait([task])

    assert denied.group_contains(Denied, match="403 ACL not found")


async def test_an_agent_that_is_not_there_is_waited_for(consul):
    replica = Replica("patient")
    await consul.process.kill()
    async with running(consul, replica) as task:
        await consul.process.start()
        term = await replica.led()

        assert term.holds()
        assert not task.done()
