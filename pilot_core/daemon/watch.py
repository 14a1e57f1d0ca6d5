"""Noticing that the configuration file says something else, however it came to do so.

Written in place, replaced by an editor, or exchanged with the folder that a link leads to: what
counts is its content, once nobody is writing it any more.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

from pilot_core.builtin import survey
from pilot_core.builtin.watch import Watch

_LOOK = 2.0
"""Seconds after which the file is looked at without being told: some mounts never tell."""
_STEP = 0.2
"""Seconds by which a change may be noticed late: nobody waits for a reload as for an endpoint."""
_QUIET = 0.1
"""Seconds that a file has to stay as it is before it counts as written."""


def content(path: Path) -> bytes | None:
    """What it says now; None where it cannot be read, which is no reason to do anything."""
    try:
        return path.read_bytes()
    except OSError:
        return None


async def follow(path: Path, before: bytes | None, changed: asyncio.Event) -> NoReturn:
    """Set `changed` whenever the file says something else than it did before."""
    async with Watch(step=_STEP) as watch:
        stamp = None
        while True:
            seen = await asyncio.to_thread(survey.take, [path])
            await watch.follow(seen.folders)
            now = await _settled(path) if seen.files != stamp else None
            stamp = seen.files
            if now is not None and now != before:
                before = now
                changed.set()
            await watch.changed(within=_LOOK)


async def _settled(path: Path) -> bytes | None:
    """The content, once it has not changed for a moment."""
    now = await asyncio.to_thread(content, path)
    while True:
        await asyncio.sleep(_QUIET)
        before, now = now, await asyncio.to_thread(content, path)
        if now == before:
            return now
