from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from pilot_adapter_cloudfoundry import CloudFoundry
from pilot_adapter_cloudfoundry.config import CloudFoundryConfig, NatsConfig
from route_emitter import RouteEmitter

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


class TestCloudFoundry(AdapterConformance):
    adapter = CloudFoundry

    @pytest.fixture
    def platform(self) -> Platform:
        return FoundationPlatform()
