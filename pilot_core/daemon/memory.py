"""Gives memory back to the system that a burst has left behind.

A storm of clients makes the C library's heap grow by the answers that are on their way; freed, they
stay in the heap, 100 KB for each client. glibc hands them back when it is asked to.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path

from pilot_core.clock import Clock

log = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
_WORTH_IT = 16 << 20
"""Bytes by which the process has to have grown: giving back costs about 0.1 ms for each MB."""
_QUIET = 1 << 20
"""Bytes that it may grow between two looks: memory is given back when the burst is over."""
_STATM = Path("/proc/self/statm")


class Memory:
    """Decides when it is worth it. `resident` is in bytes, `give_back` what then is called."""

    def __init__(self, resident: Callable[[], int], give_back: Callable[[], None]) -> None:
        self._resident, self._give_back = resident, give_back
        self._kept = self._last = resident()

    def look(self) -> bool:
        """Give back what is free, if the process has grown and has stopped growing."""
        before, self._last = self._last, self._resident()
        if self._last < self._kept + _WORTH_IT or self._last > before + _QUIET:
            return False
        self._give_back()
        self._kept = self._last = self._resident()
        return True


async def keep_small(clock: Clock) -> None:
    """Look as long as the daemon runs; returns where the C library or the system cannot do it."""
    give_back = _trim()
    if give_back is None:
        return
    memory = Memory(resident, give_back)
    while True:
        await clock.sleep(_LOOK_EVERY)
        # In a thread: ctypes lets go of the interpreter meanwhile.
        if await asyncio.to_thread(memory.look):
            log.debug("memory given back")


def resident() -> int:
    """The bytes that the process has in memory (proc(5), statm)."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _trim() -> Callable[[], None] | None:
    """malloc_trim(3), where there is one."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None or not _STATM.exists():
        return None
    return lambda: trim(0)
