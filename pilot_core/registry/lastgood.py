"""Last known good: what each registry last said, on disk, for a start while it cannot be asked.

Rule 1: written behind, in a thread, at most a second after it was put; the event loop never waits.
Rule 2: SQLite with a write-ahead log and one transaction per batch: a crash at any moment leaves
the state before or after a batch, never something in between.
Rule 3: a file that cannot be read is moved aside and shown; a disk that cannot be written to is
shown and tried again. Neither keeps anybody from serving.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn, TypeAlias

import msgspec

from pilot_core.clock import Clock
from pilot_core.model import Problem, Record
from pilot_core.telemetry.problems import Problems

log = logging.getLogger(__name__)

FORMAT = 1
_BEHIND = 0.5
_AGAIN = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS sources (
    registry TEXT NOT NULL, source TEXT NOT NULL, records BLOB NOT NULL,
    PRIMARY KEY (registry, source)
) WITHOUT ROWID;
"""

Change: TypeAlias = tuple[str, str, tuple[Record, ...]]
"""(registry, source, records); no records remove the source."""

_decoder = msgspec.msgpack.Decoder(tuple[Record, ...])
_encoder = msgspec.msgpack.Encoder()


class LastGood:
    """The state file. Create it, `load`, then let `run` write what `keep` was told."""

    def __init__(self, path: Path, *, problems: Problems, clock: Clock) -> None:
        self.path = path
        self._problems, self._clock = problems, clock
        self._pending: dict[tuple[str, str], tuple[Record, ...]] = {}
        self._woken = asyncio.Event()
        self._file: tuple[int, int] | None = None
        """Device and inode of the file that holds everything written so far."""

    def load(self) -> list[Change]:
        """Everything on disk; nothing where there is no file or no reading it."""
        try:
            with contextlib.closing(self._open()) as database:
                rows = database.execute("SELECT registry, source, records FROM sources").fetchall()
        except sqlite3.OperationalError as error:
            self._cannot_write(error)
            return []
        except sqlite3.DatabaseError as error:
            self._move_aside(error)
            return []
        return [change for row in rows if (change := self._decode(*row)) is not None]

    def _decode(self, registry: str, source: str, blob: bytes) -> Change | None:
        try:
            return registry, source, _decoder.decode(blob)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            self._problems.raise_(
                Problem(
                    code="state-corrupt",
                    registry=registry,
                    source=source,
                    object=source,
                    message=f"what {source} last said cannot be read back: {error}",
                    origin=f"{registry}/{source}",
                )
            )
            return None

    def is_lost(self) -> bool:
        """Has the file that was written been removed or replaced? Says so once."""
        if self._file is None or self._file == _identity(self.path):
            return False
        self._file = None
        return True

    def keep(self, changes: Iterable[Change]) -> None:
        """Have these written soon."""
        for registry, source, records in changes:
            self._pending[registry, source] = records
        if self._pending:
            self._woken.set()

    async def run(self) -> NoReturn:
        """Write behind, for ever."""
        while True:
            await self._woken.wait()
            await self._clock.sleep(_BEHIND)
            if not await self.flush():
                await self._clock.sleep(_AGAIN)

    async def flush(self) -> bool:
        """Write what is pending now. False where that was not possible: it stays pending."""
        self._woken.clear()
        batch, self._pending = self._pending, {}
        if not batch:
            return True
        try:
            await asyncio.to_thread(self._write, batch)
        except (sqlite3.Error, OSError) as error:
            self._pending = batch | self._pending
            self._woken.set()
            self._cannot_write(error)
            return False
        self._file = _identity(self.path)
        self._problems.clear("state-unwritable")
        return True

    def _write(self, batch: dict[tuple[str, str], tuple[Record, ...]]) -> None:
        with contextlib.closing(self._open()) as database, database:
            database.executemany(
                "DELETE FROM sources WHERE registry = ? AND source = ?",
                [key for key, records in batch.items() if not records],
            )
            database.executemany(
                "INSERT OR REPLACE INTO sources VALUES (?, ?, ?)",
                [(*key, _encoder.encode(records)) for key, records in batch.items() if records],
            )

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=5)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            [version] = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, FORMAT):
                raise sqlite3.DatabaseError(f"written in format {version}, this is {FORMAT}")
            if version == 0:
                database.executescript(_TABLES)
                database.execute(f"PRAGMA user_version = {FORMAT}")
        except BaseException:
            database.close()
            raise
        return database

    def _move_aside(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.unreadable")
        with contextlib.suppress(OSError):
            self.path.replace(aside)
            for extra in ("-wal", "-shm"):
                self.path.with_name(self.path.name + extra).unlink(missing_ok=True)
        log.error("state file unreadable", extra={"file": str(self.path), "error": str(error)})
        self._problems.raise_(
            Problem(
                code="state-corrupt",
                object=str(self.path),
                message=f"the last run's state cannot be read ({error}); moved to {aside.name}",
                origin=str(self.path),
            )
        )

    def _cannot_write(self, error: Exception) -> None:
        self._problems.raise_(
            Problem(
                code="state-unwritable",
                object=str(self.path),
                message=f"the state cannot be kept: {error}; serving goes on, trying again",
                origin=str(self.path),
            )
        )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
