"""The adapter `consul`: sessions with an agent, each over one or more datacentres.

Rule 1: with several datacentres, one that cannot be reached keeps none of the others from going
on; but a session is in sync only once all have been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from pilot_adapter_consul.agent import Agent, Token, trust
from pilot_adapter_consul.datacenter import Datacenter
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Adapter, Denied, Finding, Host, Sink, Unavailable
from pilot_core.aio import Backoff


class Consul(Adapter):
    """Follows Consul's catalogue."""

    api = 1
    Config = ConsulConfig

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._settings: ConsulConfig = config
        self._datacenters = [
            Datacenter(self._settings, host, name, {}) for name in config.datacenters or ("",)
        ]

    @classmethod
    def check(cls, config: ConsulConfig) -> Iterator[Finding]:
        """Whether the files it names can be used."""
        for look in (lambda: trust(config), lambda: Token(config.token_file).headers()):
            try:
                look()
            except Unavailable as error:
                yield Finding("", 0, 0, str(error))

    async def run(self, sink: Sink) -> NoReturn:
        unread = set(range(len(self._datacenters)))
        share = self._settings.connections // len(self._datacenters)

        def reader(number: int) -> Callable[[], None]:
            def has_read() -> None:
                unread.discard(number)
                if not unread:
                    sink.synced()

            return has_read

        async with Agent(self._settings) as agent, asyncio.TaskGroup() as group:
            if len(self._datacenters) == 1:
                await self._datacenters[0].run(agent, sink, reader(0), share)
            for number, datacenter in enumerate(self._datacenters):
                work = self._apart(datacenter, agent, sink, reader(number), share)
                group.create_task(work)
        raise AssertionError("not reached: the group ends by an error only")

    async def _apart(
        self,
        datacenter: Datacenter,
        agent: Agent,
        sink: Sink,
        has_read: Callable[[], None],
        share: int,
    ) -> NoReturn:
        """One of several datacentres, again and again."""
        backoff = Backoff()
        source = f"{datacenter.name}/reachable"

        def is_back() -> None:
            backoff.reset()
            sink.drop(source)
            has_read()

        while True:
            try:
                await datacenter.run(agent, sink, is_back, share)
            except* (Unavailable, Denied) as failed:
                sink.warn(f"datacentre {datacenter.name}: {_first(failed)}", source=source)
            await self.host.clock.sleep(backoff.delay())


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
