"""Who leads, by a Lease in a real API server: one at a time, and no longer than it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_access import account
from kube_leases import SECONDS, running
from kube_platforms import run_server, stop_server

import server_process
from kube_server import KubeApi
from pilot_core.adapter import Denied
from pilot_core.clock import SystemClock
from pilot_core.testing import FakeClock
from replicas import Replica
from server_process import wait_for

LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
LEASE = f"{LEASES}/pilot-core"
RULES = [
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "update"],
    }
]


@pytest.fixture(scope="module")
def server() -> Iterator[KubeApi]:
    made = run_server()
    yield made
    stop_server(made)


@pytest.fixture(autouse=True)
async def free(server: KubeApi) -> None:
    if not server.api.running:
        await server.api.start()
    with contextlib.suppress(server_process.Refused):  # where there is none
        await server.call("DELETE", LEASE)


async def holder(server: KubeApi) -> str:
    lease = await server.call("GET", LEASE)
    return str(lease["spec"].get("holderIdentity", "")).partition("_")[0]


async def test_one_leads_and_the_other_waits_until_the_first_is_done(server):
    first, second = Replica("first"), Replica("second")
    async with running(server.kubeconfig, first) as one:
        before = await first.led()
        assert "first" == await holder(server)
        async with running(server.kubeconfig, second):
            versions = {(await server.call("GET", LEASE))["metadata"]["resourceVersion"]}

            async def renewed() -> bool:
                lease = await server.call("GET", LEASE)
                versions.add(lease["metadata"]["resourceVersion"])
                return len(versions) == 4

            await wait_for(renewed, "three renewals")
            assert [] == second.terms
            first.done.set()
            assert "first" == await one
            after = await second.led()

    assert [before] == first.terms
    assert before.fence < after.fence
    assert not before.holds()


async def test_who_is_stopped_gives_the_lease_back(server):
    replica = Replica("only")
    async with running(server.kubeconfig, replica):
        term = await replica.led()

    assert "" == await holder(server)
    assert [True] == replica.held_at_the_end
    assert not term.holds()


async def test_the_error_of_a_leader_ends_its_run_and_frees_the_lease(server):
    replica = Replica("only")
    replica.fails = ValueError("the work went wrong")
    replica.done.set()
    with pytest.raises(BaseExceptionGroup) as ended:
        async with running(server.kubeconfig, replica) as task:
            await asyncio.wait([task])

    assert ended.group_contains(ValueError, match="the work went wrong")
    assert "" == await holder(server)


async def test_a_lease_that_somebody_else_takes_ends_the_term(server):
    replica = Replica("only")
    async with running(server.kubeconfig, replica):
        first = await replica.led(1)
        stolen = {"holderIdentity": "thief", "leaseDurationSeconds": 1}
        await server.call("PATCH", LEASE, {"spec": stolen})
        second = await replica.led(2)

        assert not first.holds()
        assert first.fence < second.fence


async def test_the_fence_grows_even_where_somebody_deletes_the_lease(server):
    first, second = Replica("first"), Replica("second")
    async with running(server.kubeconfig, first):
        before = await first.led()
    await server.call("DELETE", LEASE)
    async with running(server.kubeconfig, second):
        after = await second.led()
        assert 0 == (await server.call("GET", LEASE))["spec"]["leaseTransitions"]

    assert before.fence < after.fence


class Skewed(SystemClock):
    """An hour ahead of everybody else."""

    def now(self) -> float:
        return super().now() + 3600


async def test_a_clock_that_is_an_hour_ahead_takes_nothing_from_a_leader(server):
    leader, ahead = Replica("leader"), Replica("ahead")
    async with running(server.kubeconfig, leader):
        term = await leader.led()
        async with running(server.kubeconfig, ahead, clock=Skewed()):
            before = (await server.call("GET", LEASE))["spec"]["renewTime"]

            async def renewed() -> bool:
                return bool((await server.call("GET", LEASE))["spec"]["renewTime"] != before)

            await wait_for(renewed, "a renewal")
            assert [] == ahead.terms
            assert term.holds()


async def test_a_leader_that_hears_nothing_steps_down_before_its_time_is_up(server):
    clock, replica = FakeClock(), Replica("only")
    async with running(server.kubeconfig, replica, clock=clock):
        term = await replica.led()
        server.api.suspend()
        try:
            await clock.advance(SECONDS * 0.79)
            assert term.holds()
            assert replica.leads
            await clock.advance(SECONDS * 0.02)
            assert not term.holds()
            assert not replica.leads
        finally:
            server.api.resume()


async def test_after_an_outage_longer_than_the_lease_one_leads_again(server):
    first, second = Replica("first"), Replica("second")
    async with running(server.kubeconfig, first):
        before = await first.led()
        async with running(server.kubeconfig, second):
            await server.api.kill()
            await first.stepped_down()
            assert not before.holds()
            assert [] == second.terms
            await server.api.start()

            async def one_leads() -> bool:
                return first.leads or second.leads

            await wait_for(one_leads, "a leader")
            assert {first.leads, second.leads} == {True, False}
            after = (first if first.leads else second).terms[-1]
            assert before.fence < after.fence


async def test_a_leader_that_is_gone_without_a_word_is_followed_after_its_time(server):
    gone = {"holderIdentity": "gone_1", "leaseDurationSeconds": 3, "leaseTransitions": 7}
    body = {"metadata": {"name": "pilot-core"}, "spec": gone}
    before = await server.call("POST", LEASES, body)
    replica = Replica("heir")
    async with running(server.kubeconfig, replica):
        term = await replica.led()
        lease = await server.call("GET", LEASE)

    assert 8 == lease["spec"]["leaseTransitions"]
    assert term.fence > int(before["metadata"]["resourceVersion"])


async def test_the_rights_that_are_documented_are_enough(server, tmp_path: Path):
    kubeconfig = await account(server, tmp_path, "leader", RULES)
    replica = Replica("only")
    async with running(kubeconfig, replica):
        await replica.led()
    assert "" == await holder(server)


async def test_an_account_without_the_right_is_denied(server, tmp_path: Path):
    kubeconfig = await account(server, tmp_path, "nobody", [])
    with pytest.raises(BaseExceptionGroup) as denied:
        async with running(kubeconfig, Replica("nobody")) as task:
            await asyncio.wait([task])

    assert denied.group_contains(Denied, match="cannot keep the lease .*: 403")
