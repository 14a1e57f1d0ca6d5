"""A process with one registry whose first view takes seconds to read, to be killed: `FILE`.

It prints how many sources have been put, and `kept` when all of them are in the state file.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pilot_core.adapter import Sink
from pilot_core.clock import SystemClock
from pilot_core.registry import state_file
from registries import registration, running, service

SOURCES = 30
_PAUSE = 0.05
"""Seconds from one source to the next: the file is looked after ten times as seldom."""


async def _slowly(sink: Sink) -> None:
    for number in range(SOURCES):
        sink.put(str(number), [service(f"s{number}.mesh")])
        print(number + 1, flush=True)
        await asyncio.sleep(_PAUSE)
    sink.synced()
    await asyncio.Event().wait()


async def main(path: Path) -> None:
    async with running(registration("dc1", _slowly), clock=SystemClock(), state=path):
        while not (path.exists() and len(state_file.read(path).sources) == SOURCES):
            await asyncio.sleep(_PAUSE)
        print("kept", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
