from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from bbs_lrps import desired, http_route, process_guid, running
from fake_bbs import FakeBbs
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from route_emitter import RouteEmitter

from consul_tls import Authority
from foundation import over_bbs
from nats_server import NatsServer
from pilot_core.document import Duration
from pilot_core.testing import AdapterConformance, Platform
from pilot_core.testing.platform import Services


class FoundationPlatform(Platform):
    """A real NATS server, and somebody who talks as emitters do."""

    async def __aenter__(self) -> FoundationPlatform:
        self._owned = AsyncExitStack()
        self._server = await self._owned.enter_async_context(NatsServer())
        self._emitter = await self._owned.enter_async_context(RouteEmitter(self._server.url))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._owned.aclose()

    def config(self) -> CloudFoundryConfig:
        return CloudFoundryConfig(
            nats=NatsConfig(servers=(self._server.url,)), settle=Duration(0.5)
        )

    async def set(self, services: Services) -> None:
        self._emitter.spoilt.clear()
        wanted = {(self.hostname(n), a) for n, found in services.items() for a in found}
        for uri, address in set(self._emitter.there) - wanted:
            self._emitter.unregister(uri, address)
        for uri, address in wanted:
            self._emitter.register(uri, address, id=f"guid-{address}")

    async def spoil(self, name: str) -> None:
        self._emitter.spoilt.add(self.hostname(name))

    async def disconnect(self) -> None:
        await self._emitter.close()
        await self._server.process.stop()

    async def reconnect(self) -> None:
        await self._server.process.start()
        await self._emitter.connect()

    def hostname(self, name: str) -> str:
        return f"{name}.example.com"


class DiegoPlatform(Platform):
    """A BBS: each service is a process, each address an instance of it."""

    async def __aenter__(self) -> DiegoPlatform:
        self._owned = AsyncExitStack()
        folder = self._owned.enter_context(tempfile.TemporaryDirectory())
        self._authority = Authority(Path(folder))
        self._bbs = await self._owned.enter_async_context(FakeBbs(self._authority))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._owned.aclose()

    def config(self) -> CloudFoundryConfig:
        return over_bbs(self._authority, self._bbs)

    async def set(self, services: Services) -> None:
        bbs, names = self._bbs, {process_guid(name): name for name in services}
        for process in bbs.desired.keys() - names.keys():
            bbs.undesire(process)
        for process, name in names.items():
            self._desire(process, len(services[name]), [http_route(self.hostname(name))])
        wanted = {
            f"{name}-{address}": (process, index, address)
            for process, name in names.items()
            for index, address in enumerate(services[name])
        }
        for guid in bbs.actual.keys() - wanted.keys():
            bbs.remove(guid)
        for guid in wanted.keys() - bbs.actual.keys():
            process, index, address = wanted[guid]
            bbs.run(running(guid, process, index, address=address, cell=address))

    async def spoil(self, name: str) -> None:
        process = process_guid(name)
        spoilt = {**http_route(self.hostname(name)), "hostnames": "no list"}
        self._desire(process, self._bbs.desired[process].instances, [spoilt])

    async def disconnect(self) -> None:
        await self._bbs.stop()

    async def reconnect(self) -> None:
        await self._bbs.start()

    def hostname(self, name: str) -> str:
        return f"{name}.example.com"

    def _desire(self, process: str, instances: int, http: list[dict[str, object]]) -> None:
        made = desired(process, http=http, instances=instances)
        before = self._bbs.desired.get(process)
        if before is not None and before.routes == made.routes and before.instances == instances:
            return
        self._bbs.desire(made)


class TestDiego(AdapterConformance):
    adapter = CloudFoundry

    @pytest.fixture
    def platform(self) -> Platform:
        return DiegoPlatform()


class TestCloudFoundry(AdapterConformance):
    adapter = CloudFoundry

    @pytest.fixture
    def platform(self) -> Platform:
        return FoundationPlatform()
