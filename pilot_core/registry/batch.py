"""Batching by leading edge: the first change goes at once, a burst is taken together.

After a batch, the next one waits until nothing has come for `quiet` seconds, but never longer than
`longest`. So a single change pays no delay, and a thousand of them cost a few batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from pilot_core.clock import Clock


class Batch:
    """Calls `take` when there is something to take."""

    def __init__(
        self, take: Callable[[], None], *, quiet: float, longest: float, clock: Clock
    ) -> None:
        self.quiet, self.longest = quiet, longest
        self._take, self._clock = take, clock
        self._woken = asyncio.Event()
        self._last_wake = 0.0

    def wake(self) -> None:
        """Something has changed."""
        self._last_wake = self._clock.monotonic()
        self._woken.set()

    async def run(self) -> NoReturn:
        while True:
            await self._woken.wait()
            self._woken.clear()
            # Whoever is putting a whole view right now gets to finish before it is looked at.
            await asyncio.sleep(0)
            self._take()
            await self._settle(self._clock.monotonic())

    async def _settle(self, started: float) -> None:
        """Wait for the quiet after a batch; what comes meanwhile belongs to the next one."""
        while True:
            await self._clock.sleep(self.quiet)
            now = self._clock.monotonic()
            if now - self._last_wake >= self.quiet or now - started >= self.longest:
                return
