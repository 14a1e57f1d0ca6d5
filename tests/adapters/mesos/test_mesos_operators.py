"""What operators do to a real master and its agents: drains, maintenance, rights, restarts."""

from __future__ import annotations

import json

import msgspec
import pytest
from pilot_adapter_mesos import Mesos

from mesos_agent import MesosAgent
from mesos_framework import MesosFramework
from mesos_server import MesosMaster
from mesos_world import (
    Watched,
    agents_are,
    assert_as_the_master_says,
    config,
    followed,
    start,
)
from pilot_core.adapter import Denied
from pilot_core.testing import host, session

WEB = "web.shop.mesos"
HEALTHY, DRAINING = "healthy", "draining"


async def test_what_runs_on_an_agent_that_is_drained_drains_before_anybody_kills_it():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master) as sink,
    ):
        await start(shop, agent, "web.1", "10.0.0.1")
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", HEALTHY)])
        grace = {"seconds": 600}
        await master.ask("DRAIN_AGENT", agent_id={"value": agent.id}, max_grace_period=grace)
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", DRAINING)])
        await assert_as_the_master_says(master, sink)
        await agent.end("web.1")
        await sink.until(lambda: not sink.sources)
        assert [[], [("10.0.0.1", HEALTHY)], [("10.0.0.1", DRAINING)], []] == sink.seen(WEB)
        await assert_as_the_master_says(master, sink)


async def test_what_runs_on_a_machine_in_maintenance_drains_until_it_is_over():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master) as sink,
    ):
        await start(shop, agent, "web.1", "10.0.0.1")
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", HEALTHY)])
        machine = {"hostname": agent.hostname, "ip": agent.ip}
        window = {"machine_ids": [machine], "unavailability": {"start": {"nanoseconds": 0}}}
        kind = "UPDATE_MAINTENANCE_SCHEDULE"
        await master.ask(kind, schedule={"windows": [window]})
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", DRAINING)])
        await master.ask(kind, schedule={"windows": []})
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", HEALTHY)])
        await assert_as_the_master_says(master, sink)


async def test_two_that_take_the_only_subscription_from_each_other_lose_nothing():
    async with (
        MesosMaster(flags={"max_operator_event_stream_subscribers": "1"}) as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
    ):
        await start(shop, agent, "web.1", "10.0.0.1")
        async with followed(master) as one, followed(master) as other:
            for sink in (one, other):
                await sink.until(lambda sink=sink: sink.sessions > 1)
                assert [[], [("10.0.0.1", HEALTHY)]] == sink.seen(WEB)
            await agent.end("web.1")
            for sink in (one, other):
                await sink.until(lambda sink=sink: not sink.sources)
                await assert_as_the_master_says(master, sink)


async def test_a_master_that_asks_who_is_there_is_told_and_refuses_others(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("mesh:right\n")
    async with MesosMaster(credential="mesh:right") as master:
        knowing = msgspec.structs.replace(config(master), credentials_file=secret)
        async with session(Mesos(knowing, host())) as sink:
            await sink.until(lambda: sink.is_synced)
        secret.write_text("mesh:wrong\n")
        with pytest.raises(Denied, match="mesos-master-readwrite"):
            await Mesos(knowing, host()).run(Watched())


async def test_rights_that_are_taken_away_take_no_endpoint_along():
    hides = {
        "view_frameworks": [{"principals": {"type": "ANY"}, "users": {"type": "NONE"}}],
        "view_tasks": [{"principals": {"type": "ANY"}, "users": {"type": "NONE"}}],
    }
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master) as sink,
    ):
        await start(shop, agent, "web.1", "10.0.0.1")
        there = [("10.0.0.1", HEALTHY)]
        await sink.until(lambda: sink.now(WEB) == there)
        sink.forget()
        for acls in (hides, {}):
            await master.process.kill()
            await sink.until(lambda: sink.sessions)
            sink.sessions = 0
            master.set_flags({"acls": json.dumps(acls)})
            await master.process.start()
            await agents_are(master, known=0, recovered=1)
            await agent.reregister()
            if acls:
                await sink.until(lambda: any("right to view" in text for _, text in sink.problems))
                assert [] == (await master.ask("GET_TASKS"))["tasks"]
                assert [there] == sink.seen(WEB)
        await sink.until(lambda: sink.is_synced)
        assert [there] == sink.seen(WEB)
        await assert_as_the_master_says(master, sink)


async def test_credentials_that_are_revoked_take_no_endpoint_along(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("mesh:right")
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
    ):
        await start(shop, agent, "web.1", "10.0.0.1")
        mesos = Mesos(config(master, credentials_file=secret), host())
        sink = Watched()
        async with session(mesos, sink):
            await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", HEALTHY)])
        sink.next_session()
        await master.process.kill()
        master.set_credential("mesh:other")
        await master.process.start()
        with pytest.raises(Denied, match="mesos-master-readwrite"):
            await mesos.run(sink)
        assert [[], [("10.0.0.1", HEALTHY)]] == sink.seen(WEB)
