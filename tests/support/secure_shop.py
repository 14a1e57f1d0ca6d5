"""A caller and a service behind real proxies with mutual TLS, for tests that change things under
load."""

from __future__ import annotations

from mesh import free_port, http_get, until
from secure_stage import Load, SecureDaemon, Stage

SHOP = "reviews.shop.mesh"
REVIEWS, WEB = "127.78.0.1", "127.78.0.2"


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


async def open_shop(
    stage: Stage, *, identity: str = "identity: {settle: 0s}\n", are_agents_apart: bool = False
) -> Shop:
    """Both proxies, with an agent in each or beside each, and a first answer by both ways."""
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
    if are_agents_apart:
        for account in ("reviews", "web"):
            await stage.agent(daemon, account)
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
