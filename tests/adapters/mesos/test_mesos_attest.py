"""Who a task is, on a real master: right words from the right place, and nothing else."""

from __future__ import annotations

import msgspec
import pytest
from fake_mesos import FakeMaster
from pilot_adapter_mesos import Mesos
from pilot_adapter_mesos.attest import Said
from pilot_adapter_mesos.config import Grant, MesosConfig

from mesos_agent import MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from mesos_world import config, following
from pilot_core.adapter import Attestor, Denied, Unavailable
from pilot_core.model import Evidence
from pilot_core.testing import host, session

_CONTAINER = "b1946ac9-2492-4e0e-9d2b-5f0f2a0d4b6a"


def evidence(proof: Said, peer: str = "10.0.0.1:4000", kind: str = "token") -> Evidence:
    return Evidence(kind=kind, payload=msgspec.json.encode(proof), peer=peer)


async def refused(mesos: Mesos, said: Evidence, words: str) -> None:
    with pytest.raises(Denied, match=words):
        await mesos.attest(said)


async def test_a_task_is_who_it_says_from_where_it_runs_for_as_long_as_it_does():
    grants = (Grant(principal="*", role="apps", accounts=("pay",)),)
    label = {"labels": [{"key": "mesh.service-account", "value": "pay"}]}
    async with (
        MesosMaster() as master,
        MesosAgent(master, "node-a") as agent,
        MesosFramework(master, "shop") as shop,
    ):
        await shop.launch(task("web.1", "web", 8080, labels=label), agent)
        await agent.run("web.1", "10.0.0.1", container=_CONTAINER)
        mesos = Mesos(msgspec.structs.replace(config(master), grants=grants), host())
        proof = Said(shop.id, "web.1", _CONTAINER, agent.id)
        assert isinstance(mesos, Attestor)
        with pytest.raises(Unavailable, match="no master is heard"):
            await mesos.attest(evidence(proof))
        async with following(mesos) as sink:
            found = await mesos.attest(evidence(proof))
            assert ("/ns/shop/sa/pay", "shop", "pay") == (
                found.path,
                found.namespace,
                found.service_account,
            )
            assert (agent.ip, "10.0.0.1") == tuple(sorted(found.addresses, reverse=True))
            assert ("mesos.role", "apps") in found.selectors
            [record] = sink.endpoints("web.shop.mesos")
            assert "pay" == record.endpoints[0].service_account
            # On the host's network it calls from its agent's address.
            assert found == await mesos.attest(evidence(proof, f"{agent.ip}:1"))
            await refused(mesos, evidence(proof, "10.0.0.2:4000"), "runs elsewhere")
            await refused(mesos, evidence(proof, "nonsense"), "runs elsewhere")
            for field, words in (
                ("task_id", "no task"),
                ("framework_id", "no task"),
                ("container_id", "another container"),
                ("agent_id", "another agent"),
            ):
                wrong = msgspec.structs.replace(proof, **{field: "other"})
                await refused(mesos, evidence(wrong), words)
            await refused(mesos, evidence(proof, kind="x509"), "none of a task")
            nothing = Evidence(kind="token", payload=b"eyJ0.eyJ9.x", peer="10.0.0.1:1")
            await refused(mesos, nothing, "cannot be read")
            await agent.update("web.1", "TASK_KILLING", ip="10.0.0.1")
            await sink.until(lambda: sink.now("web.shop.mesos") == [("10.0.0.1", "draining")])
            await refused(mesos, evidence(proof), "does not run")
            await agent.end("web.1")
            await sink.until(lambda: not sink.sources)
            await refused(mesos, evidence(proof), "no task")
        with pytest.raises(Unavailable, match="no master is heard"):
            await mesos.attest(evidence(proof))


async def test_a_task_whose_container_is_not_known_is_nobody():
    async with FakeMaster() as master:
        master.set({"web": ["10.0.0.1"]})
        mesos = Mesos(MesosConfig(masters=(master.url,)), host())
        async with session(mesos) as sink:
            await sink.until(lambda: sink.is_synced)
            await refused(
                mesos, evidence(Said("fw-0001", "web-10.0.0.1", "", "agent-0001")), "container"
            )
