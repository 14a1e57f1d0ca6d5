"""The state file: sources and their records in SQLite. Everything here blocks.

Rule 1: one transaction per write, so that a crash at any moment leaves the state before it or after
it. The rollback journal, not the write-ahead log: that one needs shared memory, which no network
mount has, and cannot be read from a directory that has become read-only.
Rule 2: what a disk has spoilt is found out: the structure by SQLite, each row by its checksum.
Rule 3: a file is made elsewhere and moved into place when it is complete.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from pilot_core.model import Record

FORMAT = 1
_TABLES = """
CREATE TABLE sources (
    registry TEXT NOT NULL, source TEXT NOT NULL, records BLOB NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (registry, source)
) WITHOUT ROWID;
"""
_TYPES = (str, str, bytes, int)
_PUT = "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)"
_DROP = "DELETE FROM sources WHERE registry = ? AND source = ?"
_WAIT = 5
"""Seconds to wait for somebody who looks into the file at the same time."""

Source: TypeAlias = tuple[str, str]
"""(registry, source)"""
Identity: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and time of change: a file that differs in one was touched by others."""

_decoder = msgspec.msgpack.Decoder(tuple[Record, ...])
_encoder = msgspec.msgpack.Encoder()


class State(NamedTuple):
    """What was on disk; `spoilt` are the sources whose row cannot be read back, each with why."""

    sources: dict[Source, tuple[Record, ...]]
    spoilt: dict[Source, str]


def identity(path: Path) -> Identity | None:
    """None where there is no file to be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def read(path: Path) -> State:
    """Raises sqlite3.Error, OSError."""
    try:
        rows = _rows(path)
    except sqlite3.OperationalError:
        # Of a directory that has become read-only in the middle of a write, a copy can be read.
        with tempfile.TemporaryDirectory(prefix="pilot-core-") as folder:
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(_journal(path), _journal(copy))
            rows = _rows(copy)
    state = State({}, {})
    for registry, source, blob, checksum in rows:
        key = registry, source
        if _checksum(key, blob) != checksum:
            state.spoilt[key] = "its checksum does not fit"
            continue
        try:
            state.sources[key] = _decoder.decode(blob)
        except msgspec.MsgspecError as error:
            state.spoilt[key] = str(error)
    return state


def update(path: Path, batch: Mapping[Source, tuple[Record, ...]]) -> Identity | None:
    """Put these sources, and remove those without records. Raises sqlite3.Error, where there is no
    file too."""
    with contextlib.closing(_open(path)) as database, database:
        database.executemany(_DROP, [key for key, records in batch.items() if not records])
        database.executemany(_PUT, _written(batch))
    return identity(path)


def replace(path: Path, everything: Mapping[Source, tuple[Record, ...]]) -> Identity | None:
    """Make the file anew, whatever is there now. Raises sqlite3.Error, OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    for leftover in (fresh, _journal(fresh)):
        leftover.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(fresh)) as database, database:
            database.execute(_TABLES)
            database.execute(f"PRAGMA user_version = {FORMAT}")
            database.executemany(_PUT, _written(everything))
        # A journal belongs to the file that is about to be replaced, and would spoil this one.
        _journal(path).unlink(missing_ok=True)
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    _make_durable(path.parent)
    return identity(path)


def move_aside(path: Path) -> Path | None:
    """Where an unreadable file went; None where it could not be moved."""
    aside = path.with_name(f"{path.name}.unreadable")
    try:
        path.replace(aside)
        _journal(path).unlink(missing_ok=True)
    except OSError:
        return None
    return aside


def _rows(path: Path) -> list[tuple[str, str, bytes, int]]:
    try:
        with contextlib.closing(_open(path)) as database:
            return _checked_rows(database)
    except UnicodeDecodeError as error:
        # SQLite quotes what it has found, be it text or not.
        raise sqlite3.DatabaseError(f"malformed: {error}") from None


def _checked_rows(database: sqlite3.Connection) -> list[tuple[str, str, bytes, int]]:
    # A name that is no text any more fails its checksum; it must not fail the reading.
    database.text_factory = lambda text: text.decode("utf-8", "replace")
    [version] = database.execute("PRAGMA user_version").fetchone()
    if version != FORMAT:
        raise sqlite3.DatabaseError(f"it is of format {version}, this is {FORMAT}")
    [verdict] = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    rows = database.execute("SELECT registry, source, records, checksum FROM sources").fetchall()
    if not all(tuple(map(type, row)) == _TYPES for row in rows):
        raise sqlite3.DatabaseError("a row is not of its types")
    return rows


def _open(path: Path) -> sqlite3.Connection:
    """A file that exists: none is made."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT)


def _written(batch: Mapping[Source, tuple[Record, ...]]) -> Iterable[tuple[str, str, bytes, int]]:
    def rows() -> Iterator[tuple[str, str, bytes, int]]:
        for key, records in batch.items():
            if records:
                blob = _encoder.encode(records)
                yield *key, blob, _checksum(key, blob)

    return rows()


def _checksum(key: Source, blob: bytes) -> int:
    return zlib.crc32(blob, zlib.crc32("\0".join(key).encode()))


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
