"""The move story: one service leaves Mesos for Consul under load, behind one hostname."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from consul_server import ConsulAgent
from load import SAMPLE, Load
from mesh import Backend, Daemon, Mesh, free_port, http_get, mesh, until
from mesos_agent import MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster

pytestmark = pytest.mark.envoy

HOST = "web.service.consul"


async def shown(daemon: Daemon) -> dict[str, list[tuple[str, int]]]:
    """What `pilot-core endpoints` says: address and weight, by registry."""
    server = f"http://{daemon.admin}"
    command = [sys.executable, "-m", "pilot_core", "endpoints", HOST, "--server", server]
    child = await asyncio.create_subprocess_exec(
        *command, "-o", "json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert 0 == child.returncode
    found: dict[str, list[tuple[str, int]]] = {}
    for item in json.loads(out)["items"]:
        found.setdefault(item["registry"], []).append((item["address"], item["weight"]))
    return found


async def register(consul: ConsulAgent, backend: Backend, address: str, weight: int) -> None:
    """The backend as an instance of the service; again with another weight, as a user would."""
    service: dict[str, Any] = {
        "ID": backend.name,
        "Service": "web",
        "Address": address,
        "Port": backend.port,
        "Meta": {"protocol": "http"},
        "Weights": {"Passing": weight, "Warning": 1},
    }
    body = {"Node": "vm-1", "Address": address, "Service": service}
    await consul.call("PUT", "/v1/catalog/register", body)


async def launch(shop: MesosFramework, agent: MesosAgent, backend: Backend, address: str) -> None:
    """The backend as a task that runs."""
    said = task(backend.name, "web", backend.port)
    [port] = said["discovery"]["ports"]["ports"]
    port["labels"]["labels"].append({"key": "mesh.port", "value": "80"})
    await shop.launch(said, agent)
    await agent.run(backend.name, address)


@contextlib.asynccontextmanager
async def platforms() -> AsyncIterator[tuple[Mesh, ConsulAgent, MesosAgent, MesosFramework, str]]:
    """A real Mesos with a framework, a real Consul, and the adapters that read them."""
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "service") as shop,
        ConsulAgent() as consul,
        mesh() as stage,
    ):
        # Tasks of this framework are called as Consul calls its services.
        adapters = (
            "- name: old\n  kind: mesos\n"
            f'  config: {{masters: ["{master.url}"], domain: consul, resync: 1s}}\n'
            f'- name: new\n  kind: consul\n  config: {{address: "{consul.url}"}}\n'
        )
        yield stage, consul, agent, shop, adapters


async def test_a_service_moves_from_mesos_to_consul_weight_by_weight_without_a_failed_request():
    async with platforms() as (stage, consul, agent, shop, adapters):
        old = {ip: await stage.backend(f"mesos-{ip}", ip) for ip in ("127.0.0.2", "127.0.0.3")}
        new = {ip: await stage.backend(f"consul-{ip}", ip) for ip in ("127.0.0.4", "127.0.0.5")}
        for ip, backend in old.items():
            await launch(shop, agent, backend, ip)
        daemon = await stage.daemon(adapters)
        listener = f"127.0.0.1:{free_port()}"
        envoy = await stage.envoy(daemon, "shop", "--http-listener", listener)

        async def answers() -> bool:
            return (await http_get(listener, host=HOST))[0] == 200

        await until(answers, "the tasks to answer")
        load = Load(listener, HOST)
        in_mesos = [(ip, 1) for ip in sorted(old)]
        async with load.running():
            assert {"old": in_mesos} == await shown(daemon)
            assert 1.0 == await load.share("mesos-")
            for weight, least, most in ((1, 0.3, 0.7), (20, 0.85, 1.0)):
                for ip, backend in new.items():
                    await register(consul, backend, ip, weight)
                both = {"old": in_mesos, "new": [(ip, weight) for ip in sorted(new)]}

                async def united(both: dict[str, Any] = both) -> bool:
                    return both == await shown(daemon)

                await until(united, f"Consul's endpoints beside those of Mesos, with {weight}")
                assert least < await load.share("consul-") < most
            for backend in old.values():
                await agent.update(backend.name, "TASK_KILLING")
            await until(lambda: nobody_answers_but(load, "consul-"), "the tasks to be drained")
            for backend in old.values():
                await agent.end(backend.name)

            async def moved() -> bool:
                return ["new"] == list(await shown(daemon))

            await until(moved, "the tasks to be gone")
            assert 1.0 == await load.share("consul-")
        assert [] == load.failed
        assert load.answers.total() > 5 * SAMPLE
        assert set(load.answers) == {backend.name for backend in (*old.values(), *new.values())}
        assert ([], 0) == (await daemon.nacks(), await envoy.rejected())


async def nobody_answers_but(load: Load, prefix: str) -> bool:
    return await load.share(prefix) == 1.0
