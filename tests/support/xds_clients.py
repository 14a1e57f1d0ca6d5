"""Clients of every kind at an xDS server, and everything that each of them is given.

Rule 1: what is asked for follows from what has come, as it does in an Envoy and in a gRPC library:
endpoints of clusters, routes of listeners.
Rule 2: a client is done when everything it asked for has been answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
from grpc import aio

from pilot_core.model import NO_LOCALITY, Locality, Port, Proxy, Service, World
from pilot_core.model.proxy import describe
from pilot_xds import protos
from pilot_xds.rendering import as_dict
from pilot_xds.resource import Resource
from pilot_xds.types import BY_URL, ResourceType
from xds_messages import CDS, EDS, LDS, RDS, delta

_ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_PATIENCE = 20.0
_FIRST_LISTENER = 20000
_NOBODY = "192.0.2.1"
"""An address for documentation (RFC 5737): no endpoint has it."""

Given: TypeAlias = Mapping[tuple[str, str, str], Resource]
"""By (client, type, name)."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """One that connects. `listeners` are the names that a gRPC library asks for; none: all."""

    name: str
    id: str
    metadata: dict[str, Any] = {}
    locality: Locality = NO_LOCALITY
    listeners: tuple[str, ...] = ()

    @property
    def user_agent(self) -> str:
        return "grpc-test" if self.listeners else "envoy"

    @property
    def proxy(self) -> Proxy:
        """What the server takes it for."""
        more = {"locality": self.locality, "user_agent": self.user_agent}
        return describe(self.id, self.metadata, **more)

    @property
    def node(self) -> Any:
        said: Any = protos.Node(id=self.id, user_agent_name=self.user_agent)
        said.metadata.update(self.metadata)
        place = self.locality
        said.locality.region, said.locality.zone = place.region, place.zone
        said.locality.sub_zone = place.subzone
        return said


def of_world(world: World) -> list[Client]:
    """A sidecar at the first endpoint of each service, and for each namespace with services a
    sidecar that calls all of them, a gateway and a gRPC library."""
    services = [world.services[hostname].service for hostname in sorted(world.services)]
    namespaces = dict.fromkeys(service.namespace for service in services)
    return [
        *(made for service in services for made in _beside(world, service)),
        *(made for namespace in namespaces for made in _in_namespace(namespace, services)),
    ]


def _beside(world: World, service: Service) -> Iterator[Client]:
    first = next((e for e in world.endpoints_of(service.hostname) if not e.is_unix), None)
    if first is not None:
        workload = f"{first.workload or 'workload'}.{service.namespace}"
        yield Client(
            name=f"sidecar of {service.hostname}",
            id=f"sidecar~{first.address}~{workload}~mesh",
            locality=first.locality,
        )


def _in_namespace(namespace: str, services: list[Service]) -> Iterator[Client]:
    targets = [f"{s.hostname}:{port.number}" for s in services for port in _streams(s)]
    outbound = {f"127.0.0.1:{n}": target for n, target in enumerate(targets, _FIRST_LISTENER)}
    yield Client(
        name=f"sidecar in {namespace}",
        id=f"sidecar~{_NOBODY}~caller.{namespace}~mesh",
        metadata={"PILOT_OUTBOUND": outbound},
    )
    yield Client(name=f"gateway in {namespace}", id=f"router~{_NOBODY}~gateway.{namespace}~mesh")
    if targets:
        yield Client(
            name=f"gRPC in {namespace}",
            id=f"sidecar~{_NOBODY}~library.{namespace}~mesh",
            listeners=tuple(targets),
        )


def _streams(service: Service) -> list[Port]:
    return [port for port in service.ports if not port.protocol.is_datagram]


async def given(address: str, clients: list[Client]) -> Given:
    """What the server at this address gives to each of them, over delta ADS.

    Raises AssertionError where it leaves something unanswered.
    """
    found: dict[tuple[str, str, str], Resource] = {}
    async with aio.insecure_channel(address) as channel:
        for client in clients:
            stream = _Stream(client, channel.stream_stream(_ADS)())
            for kind, resources in (await stream.run()).items():
                found |= {(client.name, kind.short, name): r for name, r in resources.items()}
    return found


class _Stream:
    """One ADS stream, from its first question to the last answer."""

    def __init__(self, client: Client, call: Any) -> None:
        self._client, self._call = client, call
        self._has: dict[ResourceType, dict[str, Resource]] = {k: {} for k in (CDS, EDS, LDS, RDS)}
        self._asked: set[tuple[ResourceType, str]] = set()
        self._open: set[tuple[ResourceType, str]] = set()
        """What has not been answered yet; the name of "all of a type" is empty."""
        self._is_first = True

    async def run(self) -> dict[ResourceType, dict[str, Resource]]:
        if not self._client.listeners:
            await self._ask(CDS, set())
        await self._ask(LDS, set(self._client.listeners))
        try:
            async with asyncio.timeout(_PATIENCE):
                while self._open:
                    await self._hear()
        except TimeoutError:
            raise AssertionError(f"{self._client.name}: no answer about {self._open}") from None
        finally:
            self._call.cancel()
        return self._has

    async def _ask(self, kind: ResourceType, names: set[str]) -> None:
        wanted = {(kind, name) for name in names or {""}} - self._asked
        if not wanted:
            return
        self._asked |= wanted
        self._open |= wanted
        node = self._client.node if self._is_first else None
        self._is_first = False
        await self._call.write(delta(kind, sorted(name for _, name in wanted if name), node=node))

    async def _hear(self) -> None:
        data = await self._call.read()
        assert data is not aio.EOF, f"{self._client.name}: {await self._call.details()}"
        said: Any = protos.DeltaDiscoveryResponse.FromString(data)
        kind = BY_URL[said.type_url]
        for each in said.resources:
            made = Resource(each.name, each.resource.SerializeToString(deterministic=True))
            assert made.version == each.version, f"{each.name}: its version is not of its content"
            self._has[kind][each.name] = made
        for name in said.removed_resources:
            self._has[kind].pop(name, None)
        answered = {"", *(each.name for each in said.resources), *said.removed_resources}
        self._open -= {(kind, name) for name in answered}
        await self._call.write(delta(kind, response_nonce=said.nonce))
        await self._follow()

    async def _follow(self) -> None:
        clusters = [as_dict(r) for r in self._has[CDS].values()]
        listeners = [as_dict(r) for r in self._has[LDS].values()]
        if self._client.listeners:
            await self._ask_some(CDS, set(_values(listeners, "cluster")))
        await self._ask_some(EDS, {c["name"] for c in clusters if c.get("type") == "EDS"})
        await self._ask_some(RDS, set(_values(listeners, "route_config_name")))

    async def _ask_some(self, kind: ResourceType, names: set[str]) -> None:
        if names:
            await self._ask(kind, names)


def _values(tree: Any, key: str) -> Iterator[str]:
    """Every text under this key, however deep."""
    if isinstance(tree, list):
        for item in tree:
            yield from _values(item, key)
    elif isinstance(tree, dict):
        for name, value in tree.items():
            if name == key and isinstance(value, str):
                yield value
            else:
                yield from _values(value, key)
