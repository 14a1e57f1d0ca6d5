"""Replicas that want to lead, each with an agent's connections and a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from consul_server import ConsulAgent
from pilot_adapter_consul.agent import Agent
from pilot_adapter_consul.lock import ConsulLock, LockSettings
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.adapter import Term
from pilot_core.clock import Clock, SystemClock
from pilot_core.testing import host
from server_process import wait_for

KEY = "pilot-core/leader"


class Replica:
    """Leads as long as it may, or until it is told to be done."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.terms: list[Term] = []
        self.held_at_the_end: list[bool] = []
        self.done = asyncio.Event()
        self.fails: Exception | None = None

    @property
    def leads(self) -> bool:
        return len(self.terms) > len(self.held_at_the_end)

    async def lead(self, term: Term) -> str:
        self.terms.append(term)
        try:
            await self.done.wait()
        finally:
            self.held_at_the_end.append(term.holds())
        if self.fails is not None:
            raise self.fails
        return self.name

    async def led(self, times: int = 1) -> Term:
        """Wait until it leads for the n-th time; that term."""

        async def look() -> bool:
            return self.leads and len(self.terms) == times

        await wait_for(look, f"term {times} of {self.name}")
        return self.terms[-1]

    async def stepped_down(self) -> None:
        async def look() -> bool:
            return not self.leads

        await wait_for(look, f"{self.name} steps down")


@asynccontextmanager
async def running(
    consul: ConsulAgent,
    replica: Replica,
    *,
    key: str = KEY,
    clock: Clock | None = None,
    token_file: Path | None = None,
) -> AsyncIterator[asyncio.Task[str]]:
    """The replica wants to lead, until the block ends."""
    config = ConsulConfig(address=consul.url, token_file=token_file)
    settings = LockSettings(key=key, holder=replica.name, lock_delay=0)
    async with Agent(config) as agent, asyncio.TaskGroup() as group:
        lock = ConsulLock(agent, settings, host(clock=clock or SystemClock()))
        task = group.create_task(lock.run(replica.lead))
        yield task
        task.cancel()
