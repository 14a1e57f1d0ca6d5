"""A task joins the mesh by what a real master says of it, through a real daemon's secure port."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from pilot_adapter_mesos.attest import Said

from inside import inside
from joining import DOMAIN, Site, secure_mesh
from mesh import until
from mesos_agent import MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from pilot_certs.agent.proofs import PlatformToken
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import Denied

PAY = SpiffeId(DOMAIN, "/ns/shop/sa/pay")
_CONTAINER = "b1946ac9-2492-4e0e-9d2b-5f0f2a0d4b6a"
_IDENTITY = "identity:\n  attestors: [{name: dc1, adapter: mesos, prefix: /ns}]\n"


def mesh(folder: Path, master: MesosMaster) -> Path:
    """A configuration with this master, whose tasks may be `pay`."""
    config = secure_mesh(folder, more=_IDENTITY)
    settings = f"{{masters: ['{master.url}'], resync: 0.1s, grants: [{{accounts: [pay]}}]}}"
    adapter = f"- {{name: mesos, kind: mesos, config: {settings}}}\n"
    config.write_text(config.read_text().replace("adapters:\n", f"adapters:\n{adapter}"))
    return config


async def test_a_task_gets_the_certificate_of_its_account_while_it_runs_and_no_other_task_does(
    tmp_path: Path,
):
    label = {"labels": [{"key": "mesh.service-account", "value": "pay"}]}
    async with (
        MesosMaster() as master,
        # The call comes from 127.0.0.1: so a task on its network comes from there.
        MesosAgent(master, "node-a", "127.0.0.1") as agent,
        MesosFramework(master, "shop") as shop,
    ):
        await shop.launch(task("web.1", "web", 8080, labels=label), agent)
        await agent.run("web.1", "10.0.0.1", container=_CONTAINER)
        right = Said(shop.id, "web.1", _CONTAINER, agent.id)
        file = tmp_path / "proof"
        async with inside(mesh(tmp_path, master)) as daemon:
            site, proof = Site(daemon, tmp_path), PlatformToken("dc1", file)

            async def joins(said: Said) -> bool:
                file.write_bytes(msgspec.json.encode(said))
                try:
                    async with site.agent(proof=proof) as joined:
                        assert [PAY] == list(joined.held.svids)
                except Denied:
                    return False
                return True

            assert await joins(right)
            wrong = msgspec.structs.replace(right, container_id="another")
            assert not await joins(wrong)
            assert await joins(right)

            await agent.end("web.1")

            async def is_gone() -> bool:
                return not await joins(right)

            await until(is_gone, "a task that has ended to be nobody")
            file.write_text("no JSON")
            with pytest.raises(Denied):
                async with site.agent(proof=proof):
                    pass
