"""The adapter `file`: catalogue files in folders, followed as they change.

Rule 1: a source is one file. Only a file that has changed is parsed again.
Rule 2: a file that cannot be read keeps what it last said. Only a file that is gone is dropped, and
not before it has stayed away for a moment: editors and deployments replace files by moving them.
Rule 3: all that blocks happens in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec

from pilot_core.adapter import Adapter, Config, Finding, Host, Sink
from pilot_core.builtin import reading, survey
from pilot_core.builtin.reading import NotYet, Reading
from pilot_core.builtin.survey import Survey
from pilot_core.builtin.watch import Watch
from pilot_core.clock import Clock
from pilot_core.dialects.complaints import complain

_POLL = 2.0
"""Seconds between two looks without being told: some mounts never tell."""
_SOON = 0.01
"""Seconds until the next look at a file that is being written; each one waits twice as long."""
_LATE = 0.25
_AWAY = 0.1
"""Seconds that a file has to stay away before it is gone."""
_FIRST = 5.0
"""Seconds that the first complete view waits for files that are being written."""


class FileConfig(Config, frozen=True):
    """Where the catalogue files are."""

    paths: Annotated[
        tuple[Path, ...],
        msgspec.Meta(min_length=1, examples=[["/etc/pilot-core/catalogue"]]),
    ]
    """Files, folders (the `*.yaml`, `*.yml` and `*.json` files in them and below) or patterns such
    as `/etc/mesh/*/services.yaml`. What does not exist yet may come later. Relative paths are
    relative to the configuration file."""


class File(Adapter):
    """Reads catalogue files, and follows their changes."""

    api = 1
    Config = FileConfig

    def __init__(self, config: Any, host: Host) -> None:
        super().__init__(config, host)
        self._paths: tuple[Path, ...] = config.paths
        self._known: dict[str, Reading] = {}
        """By name; kept over sessions, so that a broken file still has what it said before."""

    @classmethod
    def check(cls, config: FileConfig) -> Iterator[Finding]:
        """All that is wrong in the files, read once and without waiting."""
        found = survey.take(config.paths)
        for name in found.files:
            yield from reading.findings(name)
        for name, trouble in found.troubles.items():
            yield Finding(name, 0, 0, trouble)

    async def run(self, sink: Sink) -> NoReturn:
        session = _Session(sink, self._known, self.host.clock)
        async with Watch() as watch:
            while True:
                found = await asyncio.to_thread(survey.take, self._paths)
                if await watch.follow(found.folders):
                    # What happened while nobody watched is seen only by looking once more.
                    found = await asyncio.to_thread(survey.take, self._paths)
                await watch.changed(within=await session.update(found))


class _Session:
    """What one sink has been told of the files, and what it has yet to be told."""

    def __init__(self, sink: Sink, known: dict[str, Reading], clock: Clock) -> None:
        self._sink, self._known, self._clock = sink, known, clock
        self._told: dict[str, Reading] = {}
        self._troubles: dict[str, Finding] = {}
        """By source."""
        self._away: dict[str, float] = {}
        self._began = clock.monotonic()
        self._is_synced = False
        self._soon = _SOON

    async def update(self, found: Survey) -> float:
        """Bring the sink up to date; returns how long to wait for the next look, in seconds."""
        self._complain(found)
        unsettled = [name for name, stamp in found.files.items() if await self._look(name, stamp)]
        await self._let_go(found)
        if not self._is_synced and (not unsettled or self._waited() > _FIRST):
            self._is_synced = True
            self._sink.synced()
        if unsettled:
            self._soon = min(self._soon * 2, _LATE)
            return self._soon
        self._soon = _SOON
        return _AWAY if self._away else _POLL

    async def _look(self, name: str, stamp: survey.Stamp) -> bool:
        """Read the file if it has changed, and tell the sink. True if it is being written."""
        known = self._known.get(name)
        now: Reading | NotYet | None = known
        if known is None or known.stamp != stamp:
            now = await asyncio.to_thread(reading.read, name, known)
        if isinstance(now, Reading):
            self._known[name] = known = now
        if known is not None:
            self._tell(name, known)
        return isinstance(now, NotYet)

    def _tell(self, name: str, now: Reading) -> None:
        told = self._told.get(name)
        self._told[name] = now
        if told is not None and told.said is now.said and told.failure == now.failure:
            return
        self._put(name, now)

    def _put(self, name: str, now: Reading) -> None:
        if now.said is not None:
            self._sink.put(name, now.said.records)
        complain(self._sink, name, now.findings)

    async def _let_go(self, found: Survey) -> None:
        """Drop the files that have stayed away; held back if they are suspiciously many."""
        missing = [name for name in self._known if name not in found.files]
        gone = [
            n for n in missing if n in found.doubles or await asyncio.to_thread(survey.is_gone, n)
        ]
        now = self._clock.monotonic()
        self._away = {name: self._away.get(name, now) for name in gone}
        over = [name for name, since in self._away.items() if now - since >= _AWAY]
        for name in over:
            del self._known[name], self._away[name]
            self._told.pop(name, None)
        if over and self._is_synced:
            # A sweep rather than drops: an unmounted disk looks like a folder without files, and
            # the core holds back a sweep that takes away too much.
            with self._sink.resync(""):
                for name, known in self._known.items():
                    self._put(name, known)
                for source, trouble in self._troubles.items():
                    complain(self._sink, source, [trouble])

    def _complain(self, found: Survey) -> None:
        """Of paths that cannot be looked at, or do not exist; and no longer, once they do."""
        troubles = _troubles(found)
        for source in self._troubles.keys() - troubles.keys():
            if source in self._known:
                self._told.pop(source, None)
            else:
                self._sink.drop(source)
        for source, trouble in troubles.items():
            if self._troubles.get(source) != trouble:
                complain(self._sink, source, [trouble])
        self._troubles = troubles

    def _waited(self) -> float:
        return self._clock.monotonic() - self._began


def _troubles(found: Survey) -> dict[str, Finding]:
    """What is wrong with the paths, by source. A file that cannot be looked at is told of under its
    own name, which keeps what it gave; one that does not exist must not keep anything."""
    lost = {name: Finding(name, 0, 0, trouble) for name, trouble in found.troubles.items()}
    absent = {
        f"no {name}": Finding(name, 0, 0, "does not exist: nothing is read from it")
        for name in found.missing
    }
    return lost | absent
