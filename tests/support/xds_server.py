"""The xDS server in process on a real socket, and a client of it in raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any

import grpc
from grpc import aio
from prometheus_client import CollectorRegistry

from pilot_core.clock import Clock, SystemClock
from pilot_core.model import Endpoint, MeshService, Problem, Service, Shard
from pilot_core.telemetry.problems import Problems
from pilot_xds.fleet import Fleet
from pilot_xds.metrics import XdsMetrics
from pilot_xds.server import XdsServer
from pilot_xds.services import csds
from pilot_xds.services.health import HealthService
from pilot_xds.status import ProxyState, proxies
from pilot_xds.types import ResourceType, Variant
from worlds import endpoint, service
from xds_messages import Said, delta, node, read, sotw

ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
METHODS = {
    Variant.DELTA: f"{ADS}DeltaAggregatedResources",
    Variant.SOTW: f"{ADS}StreamAggregatedResources",
}
PATIENCE = 20.0


class Server:
    """A fleet behind the transport of production; `put` and `drop` change its world."""

    def __init__(self, clock: Clock | None = None, listen: str = "127.0.0.1:0") -> None:
        self.clock = clock or SystemClock()
        self.problems = Problems(self.clock)
        self.metrics = CollectorRegistry()
        self._written: set[str] = set()
        self.fleet = Fleet(
            clock=self.clock,
            problems=self.problems,
            metrics=XdsMetrics(self.metrics),
            origin_of=self._origin_of,
        )
        self.health = HealthService()
        self.transport = XdsServer(
            self.fleet, listen, methods={**csds.methods(self.fleet), **self.health.methods()}
        )

    def _origin_of(self, hostname: str) -> str:
        return f"shop.yaml:{len(hostname)}:1" if hostname in self._written else ""

    @property
    def address(self) -> str:
        return self.transport.address

    def put(self, *hostnames: str, endpoints: Iterable[str] = ("10.0.0.1",)) -> None:
        """These services with these endpoints."""
        made = tuple(endpoint(address) for address in endpoints)
        self._apply({name: service(name) for name in hostnames}, dict.fromkeys(hostnames, made))

    def drop(self, *hostnames: str) -> None:
        self._apply(dict.fromkeys(hostnames), dict.fromkeys(hostnames, ()))

    def _apply(
        self,
        services: dict[str, Service] | dict[str, None],
        endpoints: dict[str, tuple[Endpoint, ...]],
    ) -> None:
        old = self.fleet.world
        self._written |= services.keys()
        new, changed = old.apply(
            {n: MeshService(s, ("file",)) if s else None for n, s in services.items()},
            {n: (Shard("file", "f", e),) if e else () for n, e in endpoints.items()},
        )
        self.fleet.update(old, new, changed)

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        return self.metrics.get_sample_value(name, labels) or 0.0

    def states(self) -> list[ProxyState]:
        return list(proxies(self.fleet, self.clock))

    def nacks(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.code == "nack"]


@contextlib.asynccontextmanager
async def serving(
    clock: Clock | None = None, *hostnames: str, listen: str = "127.0.0.1:0", is_open: bool = True
) -> AsyncIterator[Server]:
    server = Server(clock, listen)
    server.put(*hostnames)
    await server.transport.start()
    if is_open:
        server.fleet.open()
    try:
        yield server
    finally:
        await server.transport.stop()


class Client:
    """One ADS stream on a connection of its own."""

    def __init__(self, address: str, variant: Variant = Variant.DELTA, **options: Any) -> None:
        self.variant = variant
        # Channels to one address would share a connection otherwise.
        mine = {"grpc.use_local_subchannel_pool": 1, **options}
        self._channel = aio.insecure_channel(address, options=list(mine.items()))
        self.call: Any = self._channel.stream_stream(METHODS[variant])()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.call.cancel()
        await self._channel.close()

    async def say(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.call.write(data)

    async def ask(self, kind: ResourceType, *names: str, id: str | None = None) -> None:
        """The first request of a type; of the stream, if it says who is there."""
        make = delta if self.variant is Variant.DELTA else sotw
        await self.say(make(kind, names, node=None if id is None else node(id)))

    async def hear(self) -> Said:
        async with asyncio.timeout(PATIENCE):
            data = await self.call.read()
        assert data is not aio.EOF, await self.end()
        return read(self.variant, data)

    async def answer(self, said: Said, *names: str, error: str | None = None) -> None:
        assert said.type is not None
        if self.variant is Variant.DELTA:
            await self.say(delta(said.type, response_nonce=said.nonce, error=error))
            return
        more = {"version_info": said.version, "response_nonce": said.nonce}
        await self.say(sotw(said.type, names, error=error, **more))

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """How the stream ended, once it has."""
        async with asyncio.timeout(PATIENCE):
            return await self.call.code(), await self.call.details()
