"""The authority's journal: which signers there are, and every step that made them so (SQLite).

Rule 1: a step is one transaction. What is in memory changes after it, or not at all.
Rule 2: the signers carry a checksum, and a copy of the whole journal lies beside it. A journal
that is damaged is put aside and its copy used; a new authority is never made in its place.
Rule 3: the copy may be one step behind, which is safe: each step only widens what is trusted, or
narrows it after everybody has moved on.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from pilot_certs import durable
from pilot_certs.durable import StateError
from pilot_certs.signers import Signers

log = logging.getLogger(__name__)

FORMAT = 1
_SCHEMA = """
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), content BLOB, digest BLOB);
CREATE TABLE steps (at REAL, step TEXT, signer TEXT, who TEXT, why TEXT);
CREATE TABLE tokens (hash BLOB PRIMARY KEY, path TEXT, node TEXT, expires REAL);
"""
_BROKEN = (sqlite3.Error, msgspec.MsgspecError, ValueError)


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What the checksum covers."""

    format: int = FORMAT
    trust_domain: str
    sequence: int = 0
    """Rises with every change of the bundle."""
    signers: Signers = ()


class Step(msgspec.Struct, frozen=True):
    """One line of the history."""

    at: float
    step: str
    signer: str
    who: str
    why: str


class Journal:
    """The file `ca.sqlite` in a folder of its own, with `ca.sqlite.prev` beside it."""

    def __init__(self, folder: Path) -> None:
        """Nothing is opened yet. Raises StateError where the folder is not private to us."""
        durable.private_folder(folder)
        self.path = folder / "ca.sqlite"
        self.copy = folder / "ca.sqlite.prev"
        self.damage = ""
        """Why the copy is in use; empty where the journal itself was sound."""
        self._database: sqlite3.Connection | None = None

    @property
    def exists(self) -> bool:
        return self.path.exists() or self.copy.exists()

    def create(self, content: Content, *steps: Step) -> None:
        """A new journal; there must be none. Raises StateError; then there is still none."""
        if self.exists:
            raise StateError(f"{self.path} exists already")
        new = self.path.with_name("ca.sqlite.first")
        try:
            durable.write(new, b"")
            self._database = sqlite3.connect(new, isolation_level=None)
            self._database.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
            self._put(content, steps)
            self.close()
            durable.settle(new, self.path)
            self._read(self.path)
        except (*_BROKEN, OSError) as error:
            raise StateError(f"{self.path} cannot be made: {error}") from None
        self._make_copy()

    def open(self) -> Content:
        """What is written there. Raises StateError where neither it nor its copy is sound."""
        try:
            return self._read(self.path)
        except (*_BROKEN, OSError) as error:
            self.close()
            self.damage = str(error) or type(error).__name__
        log.error("the journal is damaged", extra={"path": self.path, "error": self.damage})
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(self.path.with_name("ca.sqlite.damaged"))
        try:
            durable.write(self.path, self.copy.read_bytes())
            return self._read(self.path)
        except (*_BROKEN, OSError, StateError):
            self.close()
            self.path.unlink(missing_ok=True)
            raise StateError(
                f"{self.path} is damaged ({self.damage}), and so is its copy: restore the folder "
                "from a backup; no new authority is made, for nobody would trust it"
            ) from None

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def write(self, content: Content, *steps: Step) -> None:
        """The new state with the steps that led to it. Raises StateError; then all is as before."""
        self._put(content, steps)
        self._make_copy()

    def _put(self, content: Content, steps: Sequence[Step]) -> None:
        raw = msgspec.json.encode(content)
        with self._transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (raw, hashlib.sha256(raw).digest())
            )
            rows = [msgspec.structs.astuple(step) for step in steps]
            database.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?)", rows)

    def steps(self) -> tuple[Step, ...]:
        """The history, oldest first."""
        assert self._database is not None
        rows = self._database.execute("SELECT at, step, signer, who, why FROM steps ORDER BY rowid")
        return tuple(Step(*row) for row in rows)

    def add_token(self, hash: bytes, path: str, node: str, expires: float) -> None:
        with self._transaction() as database:
            row = (hash, path, node, expires)
            database.execute("INSERT INTO tokens VALUES (?, ?, ?, ?)", row)

    def take_token(self, hash: bytes, now: float) -> tuple[str, str, float] | None:
        """Its (path, node, expiry), once: it is gone when this returns, and so is what has
        expired."""
        with self._transaction() as database:
            taken = "DELETE FROM tokens WHERE hash = ? RETURNING path, node, expires"
            found: tuple[str, str, float] | None = database.execute(taken, (hash,)).fetchone()
            database.execute("DELETE FROM tokens WHERE expires < ?", (now,))
        return found

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._database
        if database is None:
            raise StateError("the journal is closed")
        try:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise StateError(f"{self.path} cannot be written: {error}") from None

    def _make_copy(self) -> None:
        """A copy that fails harms nothing: the last one stays, and the next step tries again."""
        new = self.copy.with_name("ca.sqlite.new")
        try:
            new.unlink(missing_ok=True)
            durable.write(new, b"")
            with contextlib.closing(sqlite3.connect(new)) as target:
                assert self._database is not None
                self._database.backup(target)
            durable.settle(new, self.copy)
        except (sqlite3.Error, OSError, StateError) as error:
            log.error("the journal has no fresh copy", extra={"error": error})

    def _read(self, path: Path) -> Content:
        if path.stat().st_mode & 0o077:
            raise StateError(f"{path} can be read by others: chmod 600 it")
        database = sqlite3.connect(path, isolation_level=None)
        self._database = database
        row = _only(database.execute("SELECT content, digest FROM state"))
        raw, digest = bytes(row[0]), bytes(row[1])
        if hashlib.sha256(raw).digest() != digest:
            raise ValueError("the checksum is wrong")
        content = msgspec.json.decode(raw, type=Content)
        if content.format != FORMAT:
            raise ValueError(f"format {content.format} is not format {FORMAT}")
        _only(database.execute("PRAGMA quick_check"), _is_sound)
        database.execute("PRAGMA synchronous = FULL")
        return content


def _is_sound(row: tuple[object, ...]) -> bool:
    return row == ("ok",)


def _only(
    rows: sqlite3.Cursor, is_right: Callable[[tuple[object, ...]], bool] = bool
) -> tuple[bytes, bytes]:
    """The first row. Raises ValueError where there is none, or a wrong one."""
    row = rows.fetchone()
    if row is None or not is_right(row):
        raise ValueError(f"it says {row!r}")
    found: tuple[bytes, bytes] = row
    return found
