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
from pilot_core.clock import Clock, SystemClock
from pilot_core.testing import host
from replicas import Replica

__all__ = ["KEY", "Replica", "running"]

KEY = "pilot-core/leader"


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
