"""Time as an argument: the clock that the core lends, so that tests can move it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What code that waits or stamps may know of time."""

    def now(self) -> float:
        """Seconds since the epoch, for people."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back, for durations."""

    async def sleep(self, seconds: float) -> None:
        """Give way for that long."""


class SystemClock:
    """The machine's clock and the event loop's timers."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
