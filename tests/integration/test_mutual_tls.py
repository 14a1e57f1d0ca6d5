"""Mutual TLS between two sidecars, by nothing but what the daemon and the agents give them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import mutual
from mesh import Daemon, document, http_get, service, until
from mutual import Sidecar, Stage, caller, spiffe
from nodes import Load

pytestmark = pytest.mark.envoy

SHOP = "reviews.shop.mesh"
FORGED = "x-forwarded-client-cert: URI=spiffe://mesh.example/ns/default/sa/admin"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with mutual.stage() as made:
        yield made


def reviews(at: tuple[str, int], *, account: str = "reviews", tls: str = "mutual") -> str:
    return document(service(SHOP, [f"{at[0]}:{at[1]} tls={tls} service_account={account}"]))


async def test_the_application_hears_who_calls_and_nobody_can_pretend(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at))
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web")

    async def answered() -> bool:
        return (await client.asks(SHOP, FORGED)) == (200, b"app")

    await until(answered, "an answer through both")
    said = caller(app.last)
    assert [f"URI={spiffe('web')}"] == [p for p in said.split(";") if p.startswith("URI=")]
    assert "admin" not in app.last

    assert (200, b"app") == await http_get(server.address, headers=(FORGED,))
    assert "" == caller(app.last)
    assert [] == await daemon.nacks()


async def answers(sidecar: Sidecar, wanted: int) -> None:
    async def answered() -> bool:
        return (await sidecar.asks(SHOP))[0] == wanted

    await until(answered, f"{wanted} for {sidecar.envoy.name}")


async def in_plaintext(server: Sidecar) -> int:
    """What somebody gets who connects without a certificate; 0 where he is not let in."""
    try:
        return (await http_get(server.address))[0]
    except OSError:
        return 0


async def no_nack(daemon: Daemon, *sidecars: Sidecar) -> None:
    assert [] == await daemon.nacks()
    assert [0] * len(sidecars) == [await s.envoy.rejected() for s in sidecars]


def inbound(*statements: str) -> str:
    return "inbound:\n" + "".join(f"- {{{said}}}\n" for said in statements)


async def test_who_may_connect_follows_what_people_say_of_it(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at, tls="plain"))
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web")

    async def lets_in(status: int) -> None:
        async def seen() -> bool:
            return await in_plaintext(server) == status

        await until(seen, f"{status} in plaintext")

    await lets_in(200)
    stage.mesh.write("said.yaml", inbound("mode: strict"))
    await lets_in(0)
    await answers(client, 200)
    assert spiffe("web") in caller(app.last)
    # Nearer than the mesh is the namespace, and nearer than that the workload.
    stage.mesh.write("said.yaml", inbound("mode: strict", "namespace: default, mode: disabled"))
    await lets_in(200)
    await answers(client, 200)
    assert "" == caller(app.last)
    near = f'namespace: default, ports: {{"{at[1]}": permissive}}'
    stage.mesh.write("said.yaml", inbound("mode: strict", near))
    await lets_in(200)
    await answers(client, 200)
    await no_nack(daemon, server, client)


async def test_strict_lets_in_nobody_whom_another_authority_vouches_for(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at), inbound("mode: strict"))
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    async with mutual.stage() as elsewhere:
        stranger = await elsewhere.sidecar(daemon, "stranger")
        await answers(stranger, 503)
        assert 0 == app.requests
    await answers(await stage.sidecar(daemon, "web"), 200)
    await no_nack(daemon, server)


async def test_a_server_that_is_somebody_else_gets_no_request(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at, account="ratings"))
    await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web")
    await answers(client, 503)
    assert [503] * 10 == [(await client.asks(SHOP))[0] for _ in range(10)]
    assert 0 == app.requests
    # The registry had it wrong.
    stage.mesh.write("0.yaml", reviews(at))
    await answers(client, 200)


async def test_certificates_are_replaced_under_load_and_no_request_fails(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at), inbound("mode: strict"))
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web")
    await answers(client, 200)
    async with Load(client.listener, SHOP) as load:
        for _ in range(5):
            await client.node.renew()
            await server.node.renew()
            await load.more(30)
        await load.more(100)
        assert [] == load.failed
    await no_nack(daemon, server, client)


async def test_a_gateway_shows_its_own_certificate(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at), inbound("mode: strict"))
    await stage.sidecar(daemon, "reviews", at=at, app=app)
    edge = await stage.sidecar(daemon, "edge", "--gateway")
    await answers(edge, 200)
    assert (200, b"app") == await edge.asks(SHOP, FORGED)
    assert spiffe("edge") in caller(app.last)
    assert "admin" not in app.last
