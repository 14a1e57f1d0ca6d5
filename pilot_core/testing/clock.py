"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools

_TURNS = 50
"""Turns of the event loop after which whatever was woken has done what it does without waiting."""


class FakeClock:
    """Satisfies `pilot_core.clock.Clock`. Sleepers wake in the order in which they are due."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._somebody_sleeps = asyncio.Event()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), waiter))
        self._somebody_sleeps.set()
        await waiter

    @property
    def sleepers(self) -> int:
        """How many tasks wait for this clock."""
        return sum(not waiter.done() for _, _, waiter in self._sleepers)

    async def until_sleepers(self, count: int = 1) -> None:
        """Wait until that many tasks wait for this clock."""
        while self.sleepers < count:
            self._somebody_sleeps.clear()
            await self._somebody_sleeps.wait()

    async def advance(self, seconds: float) -> None:
        """Let time pass; everybody who is due meanwhile has run when this returns."""
        await settle()
        until = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, waiter = heapq.heappop(self._sleepers)
            if not waiter.done():
                self._now = due
                waiter.set_result(None)
                await settle()
        self._now = until
        await settle()


async def settle() -> None:
    """Let every task go on as far as it gets without time or the network."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
