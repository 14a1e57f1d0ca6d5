"""A service goes over to mutual TLS, and back, and no request is lost on the way."""

from __future__ import annotations

import pytest

import mutual
from mesh import document, http_get, service, until
from mutual import Sidecar, caller
from nodes import Load

pytestmark = pytest.mark.envoy

SHOP = "reviews.shop.mesh"


async def test_going_over_by_way_of_permissive_and_back_loses_no_request() -> None:
    async with mutual.stage() as stage:
        app, at = await stage.mesh.backend("app"), stage.address()

        def says(tls: str) -> None:
            listed = [f"{at[0]}:{at[1]} tls={tls} service_account=reviews"]
            stage.mesh.write("shop.yaml", document(service(SHOP, listed)))

        def asks(mode: str) -> None:
            stage.mesh.write("inbound.yaml", f"inbound: [{{mode: {mode}}}]\n")

        says("plain")
        asks("permissive")
        daemon = await stage.daemon()
        server = await stage.sidecar(daemon, "reviews", at=at, app=app)
        client = await stage.sidecar(daemon, "web")

        async def works() -> bool:
            return await client.asks(SHOP) == (200, b"app")

        async def named() -> bool:
            return "spiffe://" in caller(app.last)

        async def unnamed() -> bool:
            return "" == caller(app.last)

        await until(works, "an answer through both")
        async with Load(client.listener, SHOP) as load:
            says("mutual")
            await until(named, "callers to be known")
            asks("strict")
            await until(lambda: refuses(server), "plaintext to be refused")
            await load.more(50)
            asks("permissive")
            await until(lambda: admits(server), "plaintext to be let in")
            says("plain")
            await until(unnamed, "plaintext again")
            await load.more(50)
            assert [] == load.failed


async def admits(server: Sidecar) -> bool:
    return (await http_get(server.address))[0] == 200


async def refuses(server: Sidecar) -> bool:
    try:
        return not await admits(server)
    except OSError:
        return True
