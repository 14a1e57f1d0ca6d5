"""Last known good: what each registry last said, on disk, for a start while it cannot be asked.

Rule 1: written behind, in a thread, at most a second after it was put; the event loop never waits.
Rule 2: what could not be written stays pending, and a file that others touched is made anew from
what is served: the file follows the memory, whatever happens to it.
Rule 3: of a registry that has never been read completely, nothing is written: half a registry is
not the last good one. Its first complete view is written as one.
Rule 4: a file that cannot be read is moved aside and shown until somebody has taken it away; a disk
that cannot be written to is shown and tried again. Neither keeps anybody from serving.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

from pilot_core.clock import Clock
from pilot_core.model import Problem, Record
from pilot_core.registry import state_file
from pilot_core.registry.state_file import Source
from pilot_core.telemetry.problems import Problems

T = TypeVar("T")

log = logging.getLogger(__name__)

CORRUPT, UNWRITABLE = "state-corrupt", "state-unwritable"
BEHIND = 0.5
"""Seconds from one write to the next, and from one look at the file to the next."""
_AGAIN = 2.0
"""Seconds until a write that failed is tried again."""

Change: TypeAlias = tuple[str, str, tuple[Record, ...]]
"""(registry, source, records); no records remove the source."""


class LastGood:
    """The state file. Create it, `load`, then let `run` write what `keep` was told."""

    def __init__(self, path: Path, *, problems: Problems, clock: Clock) -> None:
        self.path = path
        self._problems, self._clock = problems, clock
        self._pending: dict[Source, tuple[Record, ...]] = {}
        self._early: dict[Source, tuple[Record, ...]] = {}
        """What registries have said that have not been read completely yet."""
        self._complete: set[str] = set()
        self._is_all = True
        """What is pending is all there is: the file is to be made anew."""
        self._file: state_file.Identity | None = None
        """The file as it was left by the last write."""
        self._spoilt: set[Source] = set()
        self._aside: Path | None = None
        # One thread: a write that nobody waits for any more must not overtake the next one.
        self._thread = ThreadPoolExecutor(1, "state file")

    def load(self, registries: Collection[str]) -> list[Change]:
        """What these said last; what others said is forgotten. Nothing where there is no file or
        no reading it. Blocks."""
        found = state_file.identity(self.path)
        if found is None:
            return []
        try:
            state = state_file.read(self.path)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return []
        self._file, self._is_all = state_file.identity(self.path), False
        for source, why in state.spoilt.items():
            self._spoilt.add(source)
            self._raise_spoilt(source, why)
        known = (*state.sources, *state.spoilt)
        self._pending |= {source: () for source in known if source[0] not in registries}
        self._complete |= {registry for registry, _ in known if registry in registries}
        return [(*s, records) for s, records in state.sources.items() if s[0] in registries]

    def keep(self, changes: Iterable[Change]) -> None:
        """Have these written soon."""
        for registry, source, records in changes:
            kept = self._pending if registry in self._complete else self._early
            kept[registry, source] = records

    def complete(self, registry: str) -> None:
        """All that the registry says has been kept: what was spoilt of it is not needed any
        more."""
        self._complete.add(registry)
        for source in [source for source in self._early if source[0] == registry]:
            self._pending[source] = self._early.pop(source)
        for source in self._spoilt:
            if source[0] == registry:
                self._pending.setdefault(source, ())

    def forget(self, registry: str) -> None:
        """The registry is gone, and nothing of it is kept; one of the same name begins anew."""
        self._complete.discard(registry)

    async def run(self, everything: Callable[[], Iterable[Change]]) -> NoReturn:
        """Write behind, for ever; `everything` is what the file has to hold after all."""
        while True:
            await self._clock.sleep(BEHIND)
            found, is_aside = await self._in_thread(self._look)
            if found is None or found != self._file:
                self._start_over(everything())
            if self._aside is not None and not is_aside:
                self._aside = None
                self._clear(CORRUPT)
            if not await self.flush():
                await self._clock.sleep(_AGAIN)

    async def flush(self) -> bool:
        """Write what is pending now. False where that was not possible: it stays pending."""
        batch = dict(self._pending)
        if not batch and not self._is_all:
            return True
        write = state_file.replace if self._is_all else state_file.update
        try:
            self._file = await self._in_thread(lambda: write(self.path, batch))
        except (sqlite3.Error, OSError) as error:
            if not isinstance(error, sqlite3.OperationalError | OSError):
                # It has been spoilt under our hands.
                self._file = None
            self._raise_unwritable(error)
            return False
        self._is_all = False
        self._written(batch)
        return True

    async def close(self) -> None:
        """Write what is pending for the last time."""
        await self.flush()
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _look(self) -> tuple[state_file.Identity | None, bool]:
        is_aside = self._aside is not None and self._aside.exists()
        return state_file.identity(self.path), is_aside

    def _start_over(self, everything: Iterable[Change]) -> None:
        """The file is gone or is not the one that was written."""
        if self._file is not None:
            log.warning("state file changed by others, made anew", extra={"file": str(self.path)})
        self._file, self._is_all = None, True
        self._pending, self._early = {}, {}
        self.keep(everything)

    def _written(self, batch: dict[Source, tuple[Record, ...]]) -> None:
        for source, records in batch.items():
            # What was put while the thread wrote is still to be written.
            if self._pending.get(source) is records:
                del self._pending[source]
            if source in self._spoilt:
                self._spoilt.discard(source)
                self._problems.clear(CORRUPT, registry=source[0], source=source[1], object="")
        self._clear(UNWRITABLE)
        if self._aside is None:
            self._clear(CORRUPT)

    def _give_up(self, error: Exception) -> None:
        self._aside = state_file.move_aside(self.path)
        where = f"moved to {self._aside}: look at it, then remove it" if self._aside else "lost"
        log.error("state file unreadable", extra={"file": str(self.path), "error": str(error)})
        self._raise(CORRUPT, f"what the registries last said cannot be read ({error}); {where}")

    def _raise_spoilt(self, source: Source, why: str) -> None:
        registry, name = source
        self._problems.raise_(
            Problem(
                code=CORRUPT,
                registry=registry,
                source=name,
                message=f"what {name} last said cannot be read back: {why}",
                origin=f"{registry}/{name}",
            )
        )

    def _raise_unwritable(self, error: Exception) -> None:
        text = f"what the registries say cannot be kept: {error}; serving goes on, trying again"
        self._raise(UNWRITABLE, text)

    def _raise(self, code: str, message: str) -> None:
        file = str(self.path)
        self._problems.raise_(Problem(code=code, object=file, message=message, origin=file))

    def _clear(self, code: str) -> None:
        self._problems.clear(code, source="", object=str(self.path))
