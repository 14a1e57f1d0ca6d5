"""Waking up when something happens in a set of folders.

Rule 1: what is watched is watched before `follow` returns; look at the files after that, and no
change is missed.
Rule 2: a wake-up says nothing but "look again". Some mounts never tell of changes, so whoever
waits also looks from time to time without being told.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable
from typing import Protocol

# The documented back end of watchfiles: it watches as soon as it is made, while `awatch` begins
# at some time after the first `anext`, and changes in between would be lost.
from watchfiles._rust_notify import RustNotify

from pilot_core.builtin.survey import Folder

PROMPT = 0.01
"""Seconds between two looks at the kernel's queue, for what traffic waits for. Each look costs 20
microseconds of CPU, also while nothing happens."""
_LONGEST = 50
"""Milliseconds after which a burst wakes us though it has not ended."""
_PATIENCE = 60_000
"""Milliseconds; how often the thread comes back for no reason."""


class _Notifier(Protocol):
    def watch(
        self, debounce_ms: int, step_ms: int, timeout_ms: int, stop_event: threading.Event
    ) -> object: ...

    def close(self) -> None: ...


class Watch:
    """Watches folders, not what is below them. Use it as `async with Watch() as watch`. `step`, in
    seconds, is how late it may be."""

    def __init__(self, *, step: float = PROMPT) -> None:
        self._step = int(step * 1000)
        self._folders: frozenset[Folder] = frozenset()
        self._happened = asyncio.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._end()

    async def follow(self, folders: frozenset[Folder]) -> bool:
        """Watch these folders and no others. False where that is so already."""
        if folders == self._folders:
            return False
        await self._end()
        notifier = _notifier({path for path, _, _ in folders})
        self._stop = threading.Event()
        arguments = notifier, self._stop, asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._pump, args=arguments, name="folder-watch", daemon=True
        )
        self._thread.start()
        self._folders = folders
        return True

    async def changed(self, *, within: float) -> None:
        """Return once something has happened since the last call, or after so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._happened.wait()
        except TimeoutError:
            return
        self._happened.clear()

    def _pump(
        self, notifier: _Notifier, stop: threading.Event, loop: asyncio.AbstractEventLoop
    ) -> None:
        while not stop.is_set():
            happened = notifier.watch(max(_LONGEST, self._step), self._step, _PATIENCE, stop)
            if isinstance(happened, set) and not loop.is_closed():
                loop.call_soon_threadsafe(self._happened.set)
        notifier.close()

    async def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            # It looks at `stop` at every step.
            await asyncio.to_thread(self._thread.join)
        self._thread, self._folders = None, frozenset()


def _notifier(paths: Iterable[str]) -> _Notifier:
    """Watches those of the folders that can be watched; the others are looked at by polling."""
    wanted = sorted(paths)
    while True:
        try:
            return RustNotify(wanted, False, False, 0, False, True)
        except OSError:
            # A folder vanished meanwhile, or the kernel has no watches left: do without some.
            left = [path for path in wanted if os.path.isdir(path)]
            wanted = left if left != wanted else wanted[: len(wanted) // 2]
