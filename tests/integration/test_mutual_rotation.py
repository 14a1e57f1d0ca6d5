"""Roots are replaced between sidecars that the daemon has configured, and no request fails."""

from __future__ import annotations

import pytest

import mutual
from authorities import Fleet
from mesh import document, free_port, http_get, service, until
from mutual import Sidecar, Stage
from nodes import Load, shows

pytestmark = pytest.mark.envoy

SHOP = "reviews.shop.mesh"
BY = {"who": "test", "why": "a test"}


async def trusted(stage: Stage, *sidecars: Sidecar) -> None:
    """Give the roots to one node after the other, until their Envoys have them."""
    for sidecar in sidecars:
        node = sidecar.node
        node.held.trust(stage.authority.roots)

        async def told(node=node) -> bool:
            return not node.server.lacking(node.held.roots)

        await until(told, "an Envoy to have the roots")


@pytest.mark.parametrize("is_new", [True, False], ids=["new connections", "a pool"])
async def test_three_rotations_of_the_root_fail_no_request(is_new: bool) -> None:
    async with mutual.stage() as stage:
        app, at = await stage.mesh.backend("app"), stage.address()
        listed = [f"{at[0]}:{at[1]} tls=mutual service_account=reviews"]
        # Bytes have no pool: each connection of the caller's is one between the sidecars.
        protocol = "tcp" if is_new else "http"
        daemon = await stage.daemon(
            document(service(SHOP, listed, protocol=protocol)), "inbound: [{mode: strict}]"
        )
        server = await stage.sidecar(daemon, "reviews", at=at, app=app)
        port = free_port()
        client = await stage.sidecar(daemon, "web", "--outbound", f"{port}={SHOP}:80")

        async def works() -> bool:
            return (await http_get(f"127.0.0.1:{port}"))[0] == 200

        await until(works, "an answer through both")
        async with Load(f"127.0.0.1:{port}") as load:
            for _ in range(3):
                stage.authority.prepare(**BY)
                await trusted(stage, client, server)
                stage.authority.activate(Fleet(), force=True, **BY)
                for sidecar in (client, server):
                    await sidecar.node.renew()
                    await until(lambda s=sidecar: shows(s.envoy, s.node), "the new certificate")
                    await load.more(30)
                stage.authority.drop(stage.authority.signers[0].id, Fleet(), force=True, **BY)
                await trusted(stage, client, server)
                await load.more(30)
            assert [] == load.failed
