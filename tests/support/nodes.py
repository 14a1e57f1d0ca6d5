"""A node for tests: a real agent on a Unix socket, with certificates of a real authority, and two
real Envoys that speak mutual TLS with each other by what the agent hands out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import authorities
from authorities import DOMAIN, REVIEWS
from mesh import Envoy, Mesh, free_port, http_get, mesh, until
from pilot_certs import chain, csr
from pilot_certs.agent.held import Held, Svid
from pilot_certs.agent.peers import Entry
from pilot_certs.agent.renewal import Answer, Renewal
from pilot_certs.agent.server import AgentServer
from pilot_certs.authority import Authority
from pilot_certs.spiffe import SpiffeId
from pilot_core.clock import SystemClock
from pilot_core.errors import Unavailable

CLIENT = SpiffeId(DOMAIN, "/ns/shop/sa/client")
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."


class Source:
    """The authority, asked directly; it can be away."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.is_away = False
        self.asked = 0

    async def fetch(self, csr_pem: bytes, name: SpiffeId, current: Svid | None) -> Answer:
        self.asked += 1
        if self.is_away:
            raise Unavailable("the authority is away")
        issued = self.authority.sign(csr.from_pem(csr_pem), name)
        return Answer(issued.chain, issued.roots)


class Node:
    """An agent with some workloads, all of the user that runs the test."""

    def __init__(self, path: Path, authority: Authority, *names: SpiffeId) -> None:
        self.path = path
        self.source = Source(authority)
        self.held = Held(DOMAIN)
        self.entries = [Entry(name, os.geteuid()) for name in names]
        self.server = AgentServer(path, self.held, self.entries)
        self.renewals = [Renewal(n, self.source, self.held, SystemClock()) for n in names]

    async def renew(self) -> None:
        """New certificates for everybody, now."""
        for renewal in self.renewals:
            before = self.held.svids.get(renewal.name)
            renewal.ask()

            async def renewed(before: Svid | None = before, name: SpiffeId = renewal.name) -> bool:
                return self.held.svids.get(name) is not before

            await until(renewed, "a new certificate")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Node]:
        await self.server.start()
        tasks = [asyncio.create_task(renewal.run()) for renewal in self.renewals]
        try:
            await self.renew()
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await self.server.stop()


async def shows(envoy: Envoy, node: Node) -> bool:
    """Are the certificates that the Envoy uses those that its agent has now?"""
    _, body = await http_get(envoy.admin, "/certs")
    shown = json.loads(body)["certificates"]
    serials = {int(c["serial_number"], 16) for entry in shown for c in entry["cert_chain"]}
    return serials == {chain.load(svid.chain[0]).serial_number for svid in node.held.svids.values()}


class Load:
    """Requests without a pause, each on a new connection or all on kept ones."""

    def __init__(self, address: str, host: str = "") -> None:
        self.address, self.host = address, host
        self.served = 0
        self.failed: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def _ask(self) -> None:
        while True:
            try:
                status, body = await http_get(self.address, host=self.host)
            except OSError as error:
                self.failed.append(repr(error))
                continue
            if status == 200:
                self.served += 1
            else:
                self.failed.append(f"{status} {body[:200]!r}")

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(2)]
        await self.more(20)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()

    async def more(self, count: int) -> None:
        """Wait until so many more have been answered, well or badly."""
        wanted = self.served + len(self.failed) + count

        async def enough() -> bool:
            return self.served + len(self.failed) >= wanted

        await until(enough, f"{count} more requests")


class Pair:
    """Two Envoys, each with a node's agent of its own."""

    def __init__(self, mesh_: Mesh, client: Node, server: Node, *, is_pooled: bool) -> None:
        self._mesh, self._pooled = mesh_, is_pooled
        self.client_node, self.server_node = client, server
        self.client = Envoy(mesh_.folder, "client")
        self.server = Envoy(mesh_.folder, "server")
        self.address = f"127.0.0.1:{free_port()}"

    def envoy_of(self, node: Node) -> Envoy:
        return self.client if node is self.client_node else self.server

    async def start(self) -> None:
        backend = await self._mesh.backend("backend")
        between = free_port()
        inbound = _listener(between, "app", tls=_downstream())
        outbound = _listener(int(self.address.rpartition(":")[2]), "peer")
        app = _cluster("app", backend.port)
        peer = _cluster("peer", between) | {"transport_socket": _upstream()}
        if not self._pooled:
            peer["typed_extension_protocol_options"] = _ONE_REQUEST_PER_CONNECTION
        await self._run(self.server, self.server_node, inbound, app)
        await self._run(self.client, self.client_node, outbound, peer)

        async def works() -> bool:
            return (await http_get(self.address))[0] == 200

        await until(works, "the first request through both Envoys")

    async def _run(self, envoy: Envoy, node: Node, listener: Any, cluster: Any) -> None:
        agent = _cluster("agent", 0)
        where = {"pipe": {"path": str(node.path)}}
        endpoint = {"endpoint": {"address": where}}
        agent["load_assignment"]["endpoints"] = [{"lb_endpoints": [endpoint]}]
        agent["typed_extension_protocol_options"] = _HTTP2
        bootstrap = {
            "node": {"id": envoy.name, "cluster": "test"},
            "admin": {"address": _address(0)},
            "static_resources": {"listeners": [listener], "clusters": [cluster, agent]},
        }
        path = self._mesh.folder / f"{envoy.name}.json"
        path.write_text(json.dumps(bootstrap))
        self._mesh.at_end(lambda: envoy.child and envoy.child.kill())
        await envoy.run(path)


@contextlib.asynccontextmanager
async def pair(*, is_pooled: bool = False) -> AsyncIterator[tuple[Pair, Authority]]:
    """Client and server, with agents that share one authority."""
    async with mesh() as mesh_, contextlib.AsyncExitStack() as stack:
        authority = authorities.started(mesh_.folder, SystemClock())
        client = Node(mesh_.folder / "client.sock", authority, CLIENT)
        server = Node(mesh_.folder / "server.sock", authority, REVIEWS)
        for node in (client, server):
            await stack.enter_async_context(node.running())
        made = Pair(mesh_, client, server, is_pooled=is_pooled)
        await made.start()
        yield made, authority


_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TYPED = f"type.googleapis.com/{_OPTIONS}"
_HTTP2 = {_OPTIONS: {"@type": _TYPED, "explicit_http_config": {"http2_protocol_options": {}}}}
_ONE_REQUEST_PER_CONNECTION = {
    _OPTIONS: {
        "@type": _TYPED,
        "common_http_protocol_options": {"max_requests_per_connection": 1},
        "explicit_http_config": {"http_protocol_options": {}},
    }
}


def _address(port: int) -> Any:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "load_assignment": assignment}


def _listener(port: int, cluster: str, *, tls: Any = None) -> dict[str, Any]:
    http = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "envoy.extensions.filters.http.router.v3.Router"
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster}}
    manager = {
        "@type": f"type.googleapis.com/{http}",
        "stat_prefix": cluster,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"type.googleapis.com/{router}"}}
        ],
    }
    filters = {"filters": [{"name": "http", "typed_config": manager}]}
    return {
        "name": cluster,
        "address": _address(port),
        "filter_chains": [filters | ({"transport_socket": tls} if tls else {})],
    }


def _secret(name: str, *, is_delta: bool) -> Any:
    kind = "DELTA_GRPC" if is_delta else "GRPC"
    api = {
        "api_type": kind,
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "agent"}}],
    }
    source = {"resource_api_version": "V3", "api_config_source": api}
    return {"name": name, "sds_config": source}


def _common(peer: SpiffeId, *, is_delta: bool) -> Any:
    matcher = {"san_type": "URI", "matcher": {"exact": str(peer)}}
    return {
        "tls_certificate_sds_secret_configs": [_secret("default", is_delta=is_delta)],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [matcher]},
            "validation_context_sds_secret_config": _secret("ROOTCA", is_delta=is_delta),
        },
    }


def _downstream() -> Any:
    """The server speaks the state-of-the-world variant with its agent."""
    context = {
        "@type": f"{_SECRET}DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": _common(CLIENT, is_delta=False),
    }
    return {"name": "tls", "typed_config": context}


def _upstream() -> Any:
    """The client speaks the delta variant."""
    context = {
        "@type": f"{_SECRET}UpstreamTlsContext",
        "common_tls_context": _common(REVIEWS, is_delta=True),
    }
    return {"name": "tls", "typed_config": context}
