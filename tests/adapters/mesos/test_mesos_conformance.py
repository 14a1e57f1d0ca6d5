from __future__ import annotations

import pytest
from fake_mesos import FakeMaster, task
from pilot_adapter_mesos import Mesos
from pilot_adapter_mesos.config import MesosConfig

from pilot_core.document import Duration
from pilot_core.testing import AdapterConformance, Platform
from pilot_core.testing.platform import Services


class MesosPlatform(Platform):
    """The fake master: a real one has no way to spoil a task, or to be another address."""

    def __init__(self) -> None:
        self.master = FakeMaster()

    async def __aenter__(self) -> MesosPlatform:
        await self.master.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.master.stop()

    def config(self) -> MesosConfig:
        return MesosConfig(masters=(self.master.url,), resync=Duration(0.1))

    async def set(self, services: Services) -> None:
        self.master.set(services)

    async def spoil(self, name: str) -> None:
        for id, known in self.master.tasks.items():
            if known["name"] == name:
                spoilt = task(id, name, "10.9.9.9")
                spoilt["discovery"]["ports"]["ports"][0]["number"] = 0
                self.master.tasks[id] = spoilt
                self.master.send({"type": "TASK_ADDED", "task_added": {"task": spoilt}})

    async def disconnect(self) -> None:
        await self.master.stop()

    async def reconnect(self) -> None:
        await self.master.start()

    def hostname(self, name: str) -> str:
        return f"{name}.shop.mesos"


class TestMesos(AdapterConformance):
    adapter = Mesos

    @pytest.fixture
    def platform(self) -> Platform:
        return MesosPlatform()
