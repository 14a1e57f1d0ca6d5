"""Replicas that want to lead by a Lease, each with connections and a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pilot_adapter_kubernetes import credentials
from pilot_adapter_kubernetes.api import Api
from pilot_adapter_kubernetes.lock import LeaseLock, LockSettings

from pilot_core.clock import Clock, SystemClock
from pilot_core.testing import host
from replicas import Replica

SECONDS = 6


@asynccontextmanager
async def running(
    kubeconfig: Path, replica: Replica, *, clock: Clock | None = None, seconds: int = SECONDS
) -> AsyncIterator[asyncio.Task[str]]:
    """The replica wants to lead, until the block ends."""
    clock = clock or SystemClock()
    settings = LockSettings(namespace="shop", holder=replica.name, seconds=seconds)
    api = Api(lambda: credentials.load(kubeconfig, ""), clock, idle=10)
    async with api, asyncio.TaskGroup() as group:
        lock = LeaseLock(api, settings, host(clock))
        task = group.create_task(lock.run(replica.lead))
        yield task
        task.cancel()
