"""A real master, a real daemon, a real Envoy: what callers notice, and what proxies are given."""

from __future__ import annotations

import pytest

import same_bytes
from load import Load
from mesh import Backend, Daemon, Envoy, free_port, http_get, mesh, until
from mesos_agent import HEALTH_CHANGED, MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from mesos_world import agents_are

pytestmark = pytest.mark.envoy

HOST = "web.shop.mesos"
_CHECKED = {"type": "TCP", "tcp": {"port": 8080}}


def _adapter(master: MesosMaster) -> str:
    return f'- {{name: dc1, kind: mesos, config: {{masters: ["{master.url}"], resync: 1s}}}}\n'


async def _launch(shop: MesosFramework, agent: MesosAgent, backend: Backend, ip: str) -> None:
    said = task(backend.name, "web", backend.port)
    [port] = said["discovery"]["ports"]["ports"]
    port["labels"]["labels"].append({"key": "mesh.port", "value": "80"})
    await shop.launch(said, agent)
    await agent.run(backend.name, ip)


async def _changes(envoy: Envoy) -> int:
    """How often the members of the service's cluster have changed."""
    return await envoy.stat("cluster.outbound.80..web.shop.mesos.membership_change")


async def _is(daemon: Daemon, state: str) -> bool:
    [registry] = await daemon.items("/api/v1/registries")
    return bool(registry["state"] == state)


async def test_nobody_notices_a_master_that_dies_while_agents_come_back_one_by_one():
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as a,
        MesosAgent(master, "node-b", "127.0.0.12") as b,
        MesosFramework(master, "shop") as shop,
        mesh() as stage,
    ):
        homes = {"127.0.0.21": a, "127.0.0.22": b, "127.0.0.23": b}
        for ip, agent in homes.items():
            await _launch(shop, agent, await stage.backend(f"on-{ip}", ip), ip)
        daemon = await stage.daemon(_adapter(master))
        listener = f"127.0.0.1:{free_port()}"
        envoy = await stage.envoy(daemon, "caller", "--http-listener", listener)

        async def answers() -> bool:
            return (await http_get(listener, host=HOST))[0] == 200

        await until(answers, "the tasks to answer")
        all_ = {f"on-{ip}" for ip in homes}
        load, changes = Load(listener, HOST), await _changes(envoy)
        assert changes > 0
        async with load.running():
            assert all_ == set(await load.more())
            await master.process.kill()
            await until(lambda: _is(daemon, "stale"), "the loss of the master")
            assert all_ == set(await load.more())
            await master.process.start()
            await agents_are(master, known=0, recovered=2)
            assert all_ == set(await load.more())
            await a.reregister()
            await agents_are(master, known=1, recovered=1)
            assert all_ == set(await load.more())
            await b.reregister()
            await agents_are(master, known=2, recovered=0)
            await shop.subscribe()
            await until(lambda: _is(daemon, "synced"), "the daemon to be in sync again")
            assert all_ == set(await load.more())
            # Nothing that was known was lost: what ends now goes, and alone.
            await b.end("on-127.0.0.23")
            left = all_ - {"on-127.0.0.23"}
            await until(lambda: _answered_by(load, left), "the end of a task to be seen")
            assert changes + 1 == await _changes(envoy)
        assert [] == load.failed
        assert ([], 0) == (await daemon.nacks(), await envoy.rejected())


async def _answered_by(load: Load, names: set[str]) -> bool:
    return set(await load.more()) == names


CATALOGUE = """\
services:
- hostname: web.shop.mesos
  namespace: shop
  ports: [{name: http, number: 80, protocol: http}, {name: admin, number: 9901}]
  endpoints:
  - address: 10.0.0.1
    ports: {http: 8080, admin: 9901}
    locality: r1/zone-of-node-a
    workload: web
  - address: 10.0.0.2
    ports: {http: 8080, admin: 9901}
    locality: r1/zone-of-node-b
    workload: web
    health: draining
- hostname: db.prod.shop.mesos
  namespace: shop
  ports: [{name: mysql, number: 3306, protocol: mysql}]
  endpoints:
  - {address: 10.0.0.3, locality: r1/zone-of-node-b, workload: db-prod, health: unhealthy}
- hostname: db-prod.shop.mesos
  namespace: shop
  ports: [{name: mysql, number: 3306, protocol: mysql}]
  endpoints:
  - {address: 10.0.0.3, locality: r1/zone-of-node-b, workload: db-prod, health: unhealthy}
"""


async def test_a_proxy_cannot_tell_mesos_from_a_file():
    labels = {"labels": [{"key": "network-scope", "value": "container"}]}
    http = {"labels": [*labels["labels"], {"key": "mesh.port", "value": "80"}]}
    web = [
        {"number": 8080, "name": "http", "protocol": "tcp", "labels": http},
        {"number": 9901, "name": "admin", "protocol": "tcp", "labels": labels},
    ]
    db = [{"number": 3306, "name": "mysql", "protocol": "tcp", "labels": labels}]
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as a,
        MesosAgent(master, "node-b", "127.0.0.12") as b,
        MesosFramework(master, "shop") as shop,
        mesh() as stage,
    ):
        for id, agent, name, ports, more in (
            ("web.1", a, "web", web, {}),
            ("web.2", b, "web", web, {}),
            ("db.1", b, "db.prod", db, {"health_check": _CHECKED}),
        ):
            said = task(id, name, 80, **more)
            said["discovery"]["ports"]["ports"] = ports
            await shop.launch(said, agent)
        await a.run("web.1", "10.0.0.1")
        await b.run("web.2", "10.0.0.2")
        await b.run("db.1", "10.0.0.3", healthy=False, reason=HEALTH_CHANGED)
        await b.update("web.2", "TASK_KILLING", ip="10.0.0.2")
        daemon = await stage.daemon(_adapter(master))
        await same_bytes.assert_served(stage, daemon, CATALOGUE)
