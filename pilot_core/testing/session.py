"""Running an adapter in a test: what it is lent, and a session around it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from pilot_core.adapter import Adapter, Host
from pilot_core.clock import Clock, SystemClock
from pilot_core.testing.sink import RecordingSink


class NoMetrics:
    """Counts nothing."""

    def count(self, name: str, amount: float = 1) -> None:
        """Forget it."""

    def gauge(self, name: str, value: float) -> None:
        """Forget it."""


def host(clock: Clock | None = None) -> Host:
    """What the core lends to an adapter of the name `test`."""
    log = logging.LoggerAdapter(logging.getLogger("test"), {})
    return Host(name="test", log=log, clock=clock or SystemClock(), metrics=NoMetrics())


@contextlib.asynccontextmanager
async def session(
    adapter: Adapter, sink: RecordingSink | None = None
) -> AsyncIterator[RecordingSink]:
    """One session of the adapter; an error in it ends the block, and is raised as a group."""
    sink = sink or RecordingSink()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(adapter.run(sink))
        yield sink
        running.cancel()
