"""A plugin from outside: one adapter that works, and one of a contract that is yet to come."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from pilot_core.adapter import Adapter, Config, Sink
from pilot_core.model import Service


class SampleConfig(Config, frozen=True):
    hostname: str
    """The one service that there is."""


class Sample(Adapter):
    api = 1
    Config = SampleConfig

    async def run(self, sink: Sink) -> NoReturn:
        sink.put("it", [Service(hostname=self.config.hostname)])
        sink.synced()
        return await asyncio.Future()


class Newer(Sample):
    api = 2
