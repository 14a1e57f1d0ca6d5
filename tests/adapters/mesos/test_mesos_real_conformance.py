from __future__ import annotations

import contextlib
import itertools

import pytest
from pilot_adapter_mesos import Mesos
from pilot_adapter_mesos.config import MesosConfig

from mesos_agent import MesosAgent
from mesos_framework import MesosFramework, task
from mesos_server import MesosMaster
from mesos_world import config, forgotten
from pilot_core.testing import AdapterConformance, Platform
from pilot_core.testing.platform import Services


class RealMesosPlatform(Platform):
    """A real master, with one agent and one framework: a task for each address."""

    can_spoil = False
    """A running task cannot be changed; the fake master's can."""

    def __init__(self) -> None:
        self.master = MesosMaster()
        self._running: dict[tuple[str, str], str] = {}
        self._numbers = itertools.count(1)
        self._owned = contextlib.AsyncExitStack()

    async def __aenter__(self) -> RealMesosPlatform:
        enter = self._owned.enter_async_context
        await enter(self.master)
        self.agent = await enter(MesosAgent(self.master, "node-a"))
        self.framework = await enter(MesosFramework(self.master, "shop"))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._owned.aclose()

    def config(self) -> MesosConfig:
        return config(self.master)

    async def set(self, services: Services) -> None:
        wanted = {(name, ip) for name, ips in services.items() for ip in ips}
        for name, ip in sorted(wanted - self._running.keys()):
            id = f"{name}.{next(self._numbers)}"
            await self.framework.launch(task(id, name, 80), self.agent)
            await self.agent.run(id, ip)
            self._running[name, ip] = id
        for key in self._running.keys() - wanted:
            id = self._running.pop(key)
            await self.agent.end(id)
            await forgotten(self.master, id)

    async def disconnect(self) -> None:
        await self.master.process.kill()

    async def reconnect(self) -> None:
        await self.master.process.start()
        await self.agent.reregister()
        await self.framework.subscribe()

    def hostname(self, name: str) -> str:
        return f"{name}.shop.mesos"


class TestRealMesos(AdapterConformance):
    adapter = Mesos

    @pytest.fixture
    def platform(self) -> Platform:
        return RealMesosPlatform()
