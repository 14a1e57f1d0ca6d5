"""Mutual TLS between two sidecars, by nothing but what the daemon and the agents give them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import mutual
from mesh import document, http_get, service, until
from mutual import Stage, caller, spiffe

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
