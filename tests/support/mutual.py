"""Sidecars that speak mutual TLS with each other: the real daemon, an agent with certificates of a
real authority beside each real Envoy, and applications behind them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import authorities
from authorities import DOMAIN
from mesh import Backend, Daemon, Envoy, Mesh, free_port, http_get, mesh
from nodes import Node
from pilot_certs.authority import Authority
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import SystemClock
from pilot_xds.bootstrap import AGENT_CLUSTER, bootstrap
from pilot_xds.proxy_options import ProxyOptions

TRUST = f"mesh: {{trust_domain: {DOMAIN}}}\n"


class Sidecar:
    """An Envoy with an agent beside it, and the address by which others reach it."""

    def __init__(self, envoy: Envoy, node: Node, own: str, port: int) -> None:
        self.envoy, self.node = envoy, node
        self.address = f"{own}:{port}"
        self.listener = ""
        """Where its own application sends requests to."""

    async def asks(self, host: str, *headers: str) -> tuple[int, bytes]:
        return await http_get(self.listener, host=host, headers=headers)


class Stage:
    """A mesh with one authority."""

    def __init__(self, mesh_: Mesh, authority: Authority, stack: contextlib.AsyncExitStack) -> None:
        self.mesh, self.authority, self._stack = mesh_, authority, stack
        self._hosts = 0

    async def daemon(self, *documents: str) -> Daemon:
        """A daemon over these catalogue documents."""
        for number, text in enumerate(documents):
            self.mesh.write(f"{number}.yaml", text)
        return await self.mesh.daemon(more=TRUST)

    def address(self) -> tuple[str, int]:
        """A host of its own for one sidecar, and a port of it."""
        self._hosts += 1
        return f"127.77.0.{self._hosts}", free_port()

    def node(self, account: str) -> Node:
        """An agent for one workload of this service account in the namespace `default`."""
        identity = SpiffeId(DOMAIN, f"/ns/default/sa/{account}")
        return Node(self.mesh.folder / f"{account}.sock", self.authority, identity)

    async def started(self, node: Node) -> None:
        """Run the agent until the stage ends."""
        await self._stack.enter_async_context(node.running())

    async def sidecar(
        self,
        daemon: Daemon,
        account: str,
        *options: str,
        at: tuple[str, int] = ("127.0.0.1", 0),
        app: Backend | None = None,
        has_agent: bool = True,
    ) -> Sidecar:
        node = self.node(account)
        if has_agent:
            await self.started(node)
        made = Sidecar(Envoy(self.mesh.folder, account), node, *at)
        made.listener = f"127.0.0.1:{free_port()}"
        inbound = ("--inbound", f"{at[1]}=127.0.0.1:{app.port}") if app else ()
        made.envoy = await self.mesh.envoy(
            daemon,
            account,
            *("--agent-socket", str(node.path), "--address", at[0]),
            *("--http-listener", made.listener, *inbound, *options),
        )
        return made


@contextlib.asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    async with mesh() as mesh_, contextlib.AsyncExitStack() as stack:
        yield Stage(mesh_, authorities.started(mesh_.folder, SystemClock()), stack)


def spiffe(account: str) -> str:
    return f"spiffe://{DOMAIN}/ns/default/sa/{account}"


def caller(head: str) -> str:
    """What a request says of its caller (XFCC); empty where it says nothing."""
    lines = (line.partition(": ") for line in head.split("\r\n"))
    return next((value for name, _, value in lines if name == "x-forwarded-client-cert"), "")


def agent_cluster(node: Node) -> dict[str, Any]:
    """The node's agent, as a bootstrap has it."""
    options = ProxyOptions(workload="any", agent_socket=str(node.path))
    clusters = bootstrap(options)["static_resources"]["clusters"]
    found: dict[str, Any] = next(c for c in clusters if c["name"] == AGENT_CLUSTER)
    return found
