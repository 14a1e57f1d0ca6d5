"""A real master, scripted agents, small frameworks: what the mesh sees of them."""

from __future__ import annotations

import asyncio

from pilot_adapter_mesos import Mesos

from mesos_agent import HEALTH_CHANGED, MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from mesos_world import (
    NEVER,
    Watched,
    agents_are,
    assert_as_the_master_says,
    config,
    followed,
    forgotten,
    start,
)
from pilot_core.model import Locality
from pilot_core.testing import host, session
from server_process import Json

WEB, OLD = "web.shop.mesos", "web.store.mesos"
HEALTHY, UNHEALTHY, DRAINING = "healthy", "unhealthy", "draining"
CHECKED = {"type": "TCP", "tcp": {"port": 8080}}


async def test_a_task_is_there_from_its_start_to_its_end_and_drains_between():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master, resync=NEVER) as sink,
    ):
        await shop.launch(task("web.1", "web", 8080), agent)
        await agent.update("web.1", "TASK_STARTING")
        await agent.run("web.1", "10.0.0.1")
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", HEALTHY)])
        [endpoint] = sink.endpoints(WEB)[0].endpoints
        assert (("http", 8080),) == endpoint.ports
        assert Locality("r1", "zone-of-node-a") == endpoint.locality
        await agent.update("web.1", "TASK_KILLING", ip="10.0.0.1")
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", DRAINING)])
        await agent.end("web.1")
        await sink.until(lambda: not sink.sources)
        assert [[], [("10.0.0.1", HEALTHY)], [("10.0.0.1", DRAINING)], []] == sink.seen(WEB)
        assert 2 == len([source for source in sink.puts if source.startswith("task/")])
        await assert_as_the_master_says(master, sink)


async def test_a_checked_task_is_well_once_it_has_been_seen_well():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master, resync=NEVER) as sink,
    ):
        await start(shop, agent, "web.1", "10.0.0.1", health_check=CHECKED)
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", UNHEALTHY)])
        for is_well, health in ((True, HEALTHY), (False, UNHEALTHY), (True, HEALTHY)):
            await agent.run("web.1", "10.0.0.1", healthy=is_well, reason=HEALTH_CHANGED)
            await sink.until(lambda health=health: sink.now(WEB) == [("10.0.0.1", health)])
        await assert_as_the_master_says(master, sink)


async def test_health_and_addresses_that_no_event_tells_of_are_found_by_listing():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master) as sink,
    ):
        await start(shop, agent, "web.1", "10.0.0.1")
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", HEALTHY)])
        await agent.run("web.1", "10.0.0.1", healthy=False)
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.1", UNHEALTHY)])
        await agent.run("web.1", "10.0.0.9", healthy=True)
        await sink.until(lambda: sink.now(WEB) == [("10.0.0.9", HEALTHY)])
        await assert_as_the_master_says(master, sink)


async def test_one_task_id_in_two_frameworks_is_two_tasks():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as a,
        MesosAgent(master, "node-b", "127.0.0.12") as b,
        MesosFramework(master, "shop") as shop,
        MesosFramework(master, "store") as store,
        followed(master, resync=NEVER) as sink,
    ):
        for framework, agent, ip in ((shop, a, "10.0.0.1"), (store, b, "10.0.0.2")):
            await start(framework, agent, "dup.1", ip)
        both = {WEB: ["10.0.0.1"], OLD: ["10.0.0.2"]}
        await sink.until(lambda: sink.view == both)
        await a.end("dup.1")
        await sink.until(lambda: sink.view == {OLD: ["10.0.0.2"]})
        await assert_as_the_master_says(master, sink)


async def test_a_task_id_that_is_used_again_leaves_no_ghost():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master, resync=NEVER) as sink,
    ):
        for ip in ("10.0.0.1", "10.0.0.2"):
            await start(shop, agent, "web.1", ip)
            await sink.until(lambda ip=ip: sink.view == {WEB: [ip]})
            await assert_as_the_master_says(master, sink)
            await agent.end("web.1", "TASK_FINISHED")
            await sink.until(lambda: not sink.sources)
            await forgotten(master, "web.1")
        await assert_as_the_master_says(master, sink)


async def test_a_master_that_dies_and_comes_back_takes_no_living_task_along():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as a,
        MesosAgent(master, "node-b", "127.0.0.12") as b,
        MesosFramework(master, "shop") as shop,
        followed(master) as sink,
    ):
        for id, agent, ip in (("1", a, "10.0.0.1"), ("2", b, "10.0.0.2"), ("3", b, "10.0.0.3")):
            await start(shop, agent, id, ip)
        before = [(f"10.0.0.{n}", HEALTHY) for n in (1, 2, 3)]
        await sink.until(lambda: sink.now(WEB) == before)
        sink.forget()
        await master.process.kill()
        await sink.until(lambda: sink.sessions)
        await master.process.start()
        await agents_are(master, known=0, recovered=2)
        sink.puts.clear()
        await a.reregister()
        await agents_are(master, known=1, recovered=1)
        await shop.subscribe()
        await sink.until(lambda: sink.puts)
        assert not sink.is_synced
        assert [before] == sink.seen(WEB)
        await b.reregister(without=["3"])
        await sink.until(lambda: sink.is_synced and sink.now(WEB) == before[:2])
        assert [before, before[:2]] == sink.seen(WEB)
        await assert_as_the_master_says(master, sink)


async def test_an_agent_that_never_returns_to_a_new_master_is_held_and_then_let_go():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as a,
        MesosAgent(master, "node-b", "127.0.0.12") as b,
        MesosFramework(master, "shop") as shop,
        followed(master, hold=3.0) as sink,
    ):
        for id, agent, ip in (("1", a, "10.0.0.1"), ("2", b, "10.0.0.2")):
            await start(shop, agent, id, ip)
        before = [("10.0.0.1", HEALTHY), ("10.0.0.2", HEALTHY)]
        await sink.until(lambda: sink.now(WEB) == before)
        sink.forget()
        await master.process.kill()
        await sink.until(lambda: sink.sessions)
        await master.process.start()
        await a.reregister()
        await agents_are(master, known=1, recovered=1)
        await sink.until(lambda: sink.now(WEB) == before[:1])
        assert [before, before[:1]] == sink.seen(WEB)
        await assert_as_the_master_says(master, sink)


async def test_a_master_that_freezes_loses_nothing_and_is_believed_when_it_goes_on():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
    ):
        await start(shop, agent, "web.1", "10.0.0.1")
        adapter, sink, there = (
            Mesos(config(master, NEVER), host()),
            Watched(),
            ("10.0.0.1", HEALTHY),
        )
        async with session(adapter, sink):
            await sink.until(lambda: sink.is_synced and sink.now(WEB) == [there])
            master.process.suspend()
        ending = asyncio.create_task(agent.end("web.1"))
        sink.next_session()
        async with session(adapter, sink):
            assert [there] == sink.now(WEB)
            master.process.resume()
            await ending
            await sink.until(lambda: sink.is_synced and not sink.sources)
            await assert_as_the_master_says(master, sink)
        assert [[], [there], []] == sink.seen(WEB)


async def test_tasks_of_an_agent_out_of_reach_are_kept_and_come_back():
    async with (
        MesosMaster(missed_pings=4) as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        MesosFramework(master, "store", is_partition_aware=False) as store,
        followed(master, resync=NEVER) as sink,
    ):
        for framework, id, ip in ((shop, "1", "10.0.0.1"), (store, "2", "10.0.0.2")):
            await start(framework, agent, id, ip)
        await start(shop, agent, "3", "10.0.0.3")
        there = [("10.0.0.1", HEALTHY), ("10.0.0.3", HEALTHY)]
        away = [("10.0.0.1", UNHEALTHY), ("10.0.0.3", UNHEALTHY)]
        await sink.until(lambda: sink.now(WEB) == there)
        sink.forget()
        agent.fall_silent()
        await sink.until(
            lambda: sink.now(WEB) == away and sink.now(OLD) == [("10.0.0.2", UNHEALTHY)]
        )
        await agent.reregister(without=["3"])
        await sink.until(lambda: sink.now(WEB) == there[:1])
        assert all("10.0.0.1" in dict(view) for view in sink.seen(WEB))
        back = [[("10.0.0.2", health)] for health in (HEALTHY, UNHEALTHY, HEALTHY)]
        assert back == sink.seen(OLD)
        await assert_as_the_master_says(master, sink)


async def test_agents_that_leave_or_are_given_up_take_their_tasks_along():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as a,
        MesosAgent(master, "node-b", "127.0.0.12") as b,
        MesosFramework(master, "shop") as shop,
        followed(master, resync=NEVER) as sink,
    ):
        for id, agent, ip in (("web.1", a, "10.0.0.1"), ("web.2", b, "10.0.0.2")):
            await start(shop, agent, id, ip)
        await sink.until(lambda: sink.addresses(WEB) == ["10.0.0.1", "10.0.0.2"])
        await a.unregister()
        await sink.until(lambda: sink.addresses(WEB) == ["10.0.0.2"])
        await assert_as_the_master_says(master, sink)
        await master.ask("MARK_AGENT_GONE", agent_id={"value": b.id})
        await sink.until(lambda: not sink.sources)
        await assert_as_the_master_says(master, sink)


async def test_a_framework_that_is_away_keeps_its_services_and_one_that_is_removed_does_not():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "stays") as stays,
        MesosFramework(master, "ends") as ends,
        MesosFramework(master, "expires", failover_timeout=0.5) as expires,
        followed(master) as sink,
    ):
        for framework in (stays, ends, expires):
            await start(framework, agent, framework.name, "10.0.0.1")
        await sink.until(lambda: len(sink.view) == 3)
        await stays.disconnect()
        await expires.disconnect()
        await sink.until(lambda: sorted(sink.view) == ["web.ends.mesos", "web.stays.mesos"])
        await ends.teardown()
        await sink.until(lambda: sink.view == {"web.stays.mesos": ["10.0.0.1"]})
        await assert_as_the_master_says(master, sink)


async def test_whatever_somebody_writes_into_a_task_harms_no_other():
    def odd(id: str, name: str, *ports: Json, **labels: str) -> Json:
        made = task(id, name, 80)
        made["labels"] = {"labels": [{"key": k, "value": v} for k, v in labels.items()]}
        for port, said in zip(made["discovery"]["ports"]["ports"] * len(ports), ports, strict=True):
            ports_ = made["discovery"]["ports"]
            ports_["ports"] = [*ports_["ports"], {**port, **said}]
        return made

    garbage = {"labels": [{"key": "VIP_0", "value": "::/::"}, {"key": "VIP_1"}]}
    hostile = [
        odd("1", "web_front"),
        odd("2", "Web-Front"),
        odd("3", "x" * 300),
        odd("4", "\u00fc\u2603"),
        odd("5", "vip", {"labels": garbage, "name": "a"}),
        odd("6", "ports", {"number": 0, "name": "zero"}, {"number": 99999, "name": "high"}),
        odd("7", "thief", **{"mesh.service-account": "payments", "mesh.weight": "-3"}),
    ]
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
        followed(master) as sink,
    ):
        await start(shop, agent, "good", "10.0.0.99")
        await shop.launch_all(hostile, agent)
        for number, said in enumerate(hostile):
            await agent.run(said["task_id"]["value"], f"10.0.0.{number + 1}")
        await sink.until(lambda: len(sink.view) == 7)
        assert [("10.0.0.99", HEALTHY)] == sink.now(WEB)
        assert all([("10.0.0.99", HEALTHY)] == seen for seen in sink.seen(WEB)[1:])
        assert ["10.0.0.6"] == sink.view["ports.shop.mesos"]
        [record] = sink.endpoints("thief.shop.mesos")
        assert ("nobody-apps", 1) == (
            record.endpoints[0].service_account,
            record.endpoints[0].weight,
        )
        told = " ".join(text for _, text in (*sink.problems, *sink.notes))
        for word in ("no hostname", "zero has the number 0", "high has the number 99999"):
            assert word in told
        for word in ("'payments' is not granted", "mesh.weight", "is the name of"):
            assert word in told
        await assert_as_the_master_says(master, sink)


async def test_a_cluster_that_was_there_before_is_mapped_whole():
    scope = {"labels": [{"key": "network-scope", "value": "host"}]}
    on_host = [{"number": 31005, "name": "http", "protocol": "tcp", "labels": scope}]
    mapped = [{"number": 31001, "name": "http", "protocol": "tcp"}]
    mapping = {"host_port": 31001, "container_port": 80, "protocol": "tcp"}
    docker = {"image": "x", "network": "BRIDGE", "port_mappings": [mapping]}
    bridged = {"type": "DOCKER", "docker": docker}
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as a,
        MesosAgent(master, "node-b", "127.0.0.12") as b,
        MesosFramework(master, "shop") as shop,
        MesosFramework(master, "store") as store,
    ):
        for framework, agent, id, name, ports, more in (
            (shop, a, "1", "host", on_host, {}),
            (shop, b, "2", "bridge.prod", mapped, {"container": bridged}),
            (store, b, "3", "cni", None, {"labels": {"labels": [{"key": "a", "value": "b"}]}}),
        ):
            said = task(id, name, 9000, **more)
            if ports is not None:
                said["discovery"]["ports"]["ports"] = ports
            await framework.launch(said, agent)
        await a.run("1")
        await b.run("2", "172.17.0.2")
        await b.run("3", "9.0.2.5")
        async with followed(master) as sink:
            assert {
                "host.shop.mesos": [a.ip],
                "bridge.prod.shop.mesos": [b.ip],
                "bridge-prod.shop.mesos": [b.ip],
                "cni.store.mesos": ["9.0.2.5"],
            } == sink.synced_with
            found = {
                hostname: (
                    [(port.name, port.number) for port in service.ports],
                    sink.endpoints(hostname)[0].endpoints[0],
                )
                for hostname, service in sink.services.items()
            }
            assert {
                "host.shop.mesos": ([("http", 31005)], (("http", 31005),)),
                "bridge.prod.shop.mesos": ([("http", 80)], (("http", 31001),)),
                "bridge-prod.shop.mesos": ([("http", 80)], (("http", 31001),)),
                "cni.store.mesos": ([("http", 9000)], (("http", 9000),)),
            } == {hostname: (ports, e.ports) for hostname, (ports, e) in found.items()}
            endpoint = found["cni.store.mesos"][1]
            assert (Locality("r1", "zone-of-node-b"), "nobody-apps") == (
                endpoint.locality,
                endpoint.service_account,
            )
            wanted = {"a": "b", "mesos.framework": "store", "mesos.agent-id": b.id}
            assert wanted.items() <= dict(endpoint.labels).items()
            await assert_as_the_master_says(master, sink)
