"""Roots change while real proxies carry traffic and the daemon is killed: nothing fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

import secure_stage
from mesh import free_port, http_get, until
from secure_stage import Load, SecureDaemon, Stage

pytestmark = [pytest.mark.envoy, pytest.mark.slow]

SHOP = "reviews.shop.mesh"
REVIEWS, WEB = "127.78.0.1", "127.78.0.2"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with secure_stage.stage() as made:
        yield made


class Shop:
    """A caller and a service, the service by HTTP (kept connections between the proxies) and by
    TCP (a handshake for every request)."""

    def __init__(self, stage: Stage, daemon: SecureDaemon, pooled: str, fresh: str) -> None:
        self.stage, self.daemon, self.pooled, self.fresh = stage, daemon, pooled, fresh

    def load(self) -> Load:
        return Load((self.pooled, SHOP), (self.fresh, SHOP))

    async def followed(self) -> None:
        """Until both agents are connected, and have told what they trust."""

        async def told() -> bool:
            said = await self.daemon.ask("/api/v1/ca")
            return said["agents"] == 2 and not said["without_new_roots"]

        await until(told, "both agents to have every root")

    async def certified_by(self, signer: str) -> None:
        """Until both agents show certificates of this signer."""

        async def all_new() -> bool:
            items = await self.daemon.items("/api/v1/certs")
            return [signer] * 2 == [c["signer"] for c in items if c["kind"] == "workload"]

        await until(all_new, "certificates of the new signer")


async def open_shop(stage: Stage, *, identity: str = "identity: {settle: 0s}\n") -> Shop:
    app = await stage.mesh.backend("app")
    http, raw = free_port(), free_port()
    daemon = await stage.daemon(
        f"""\
services:
- hostname: {SHOP}
  ports: [{{name: http, number: 80, protocol: http}}, {{name: raw, number: 81, protocol: tcp}}]
  endpoints:
  - address: {REVIEWS}
    ports: {{http: {http}, raw: {raw}}}
    service_account: reviews
    tls: mutual
""",
        identity=identity,
    )
    here = f"127.0.0.1:{app.port}"
    inbound = ("--inbound", f"{http}={here}", "--inbound", f"{raw}={here}")
    await stage.sidecar(daemon, "reviews", REVIEWS, *inbound)
    fresh = f"{WEB}:{free_port()}"
    web = await stage.sidecar(daemon, "web", WEB, "--outbound", f"{fresh}={SHOP}:81")
    made = Shop(stage, daemon, web.http, fresh)
    for address in (web.http, fresh):

        async def served(address: str = address) -> bool:
            return (await http_get(address, host=SHOP)) == (200, b"app")

        await until(served, f"an answer through {address}")
    await made.followed()
    return made


async def _rotate(shop: Shop, load: Load) -> None:
    """One whole rotation; the daemon is killed behind every step."""
    daemon = shop.daemon
    [old] = (await daemon.ask("/api/v1/ca"))["signers"]
    new = await daemon.step("prepare")
    await daemon.restart()
    await shop.followed()
    await load.more(20)

    assert new["id"] == (await daemon.step("activate"))["id"]
    await daemon.restart()
    await shop.followed()
    await load.more(20)

    await daemon.step("taint", old["id"])
    await daemon.restart()
    await shop.certified_by(new["id"])
    await load.more(50)

    await daemon.step("drop", old["id"], force=True)
    await daemon.restart()
    await shop.followed()
    await load.more(50)
    assert [new["id"]] == [s["id"] for s in (await daemon.ask("/api/v1/ca"))["signers"]]


async def test_three_rotations_with_the_daemon_killed_behind_each_step_lose_nothing(stage):
    shop = await open_shop(stage)
    started = time.monotonic()
    async with shop.load() as load:
        for _ in range(3):
            await _rotate(shop, load)
    took = time.monotonic() - started
    print(f"{load.total} requests, {load.total / took:.0f}/s, {load.served}")

    assert [] == load.failed[:5]
    assert [] == await shop.daemon.nacks()
    steps = [step["step"] for step in (await shop.daemon.ask("/api/v1/ca"))["steps"]]
    assert ["init", *["prepare", "activate", "taint", "drop"] * 3] == steps
