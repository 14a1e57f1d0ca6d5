"""The audit log: one JSON line for every decision, each with the hash of the one before.

Rule 1: it never holds a token or a key, only their digests.
Rule 2: a record that cannot be written stops nothing: the next one says how many are missing.
Rule 3: whoever changes or removes a line breaks the chain from there on (`verify`). Cutting off
the end is seen by comparing `head` with one that was noted elsewhere.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pilot_certs.durable import StateError
from pilot_core.clock import Clock

log = logging.getLogger(__name__)

START = "0" * 64
_RECENT = 16 << 20
"""Bytes from the end that are read at a start: some 30,000 decisions."""
_TAIL = 64 << 10
"""Bytes from the end in which the last line is looked for: far more than one record has."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided, on whose request, on what grounds."""

    event: str
    """`issued`, `denied`, `rotated`, `token`."""
    peer: str = ""
    attestor: str = ""
    evidence: str = ""
    """A digest of what was presented, or the platform's own name of the workload."""
    requested: str = ""
    granted: str = ""
    serial: str = ""
    sha256: str = ""
    spki_sha256: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    signer: str = ""
    reason: str = ""


class _Record(msgspec.Struct, frozen=True):
    """What stands beside a decision."""

    at: float


class AuditLog:
    """A file that only grows, of mode 0600."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Goes on behind the last line. Raises StateError where the file cannot be used."""
        self._path, self._clock = path, clock
        self._lost = 0
        self.lost = 0
        """Records that could not be written, since the start."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.head = self._last()
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        os.close(self._file)

    def recent(self) -> Iterator[tuple[float, Decision]]:
        """When, and what: the newest decisions, oldest first, as far back as is read in a moment.
        A line that is none is left out: `verify` is what finds those."""
        start = max(0, os.fstat(self._file).st_size - _RECENT)
        lines = os.pread(self._file, _RECENT, start).splitlines()
        # The first one is a part of a line, unless it is the file's first.
        for line in lines[1:] if start else lines:
            try:
                record = msgspec.json.decode(line, type=_Record)
                yield record.at, msgspec.json.decode(line, type=Decision)
            except msgspec.MsgspecError:
                continue

    def write(self, decision: Decision) -> None:
        """Append it."""
        record: dict[str, Any] = {"at": self._clock.now(), "previous": self.head}
        record |= msgspec.to_builtins(decision)
        if self._lost:
            record["lost"] = self._lost
        line = msgspec.json.encode(record)
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line + b"\n")
            if written <= len(line):
                raise OSError(f"only {written} bytes written")
        except OSError as error:
            self._lost += 1
            self.lost += 1
            os.ftruncate(self._file, before)
            log.error("audit record lost", extra={"error": error, "event_kind": decision.event})
            return
        self.head, self._lost = _hash(line), 0

    def _last(self) -> str:
        """The hash of the last whole line; what a crash has left of another one is cut off."""
        size = os.fstat(self._file).st_size
        start = max(0, size - _TAIL)
        tail = os.pread(self._file, _TAIL, start)
        whole = tail[: tail.rfind(b"\n") + 1]
        os.ftruncate(self._file, start + len(whole))
        lines = whole.splitlines()
        return _hash(lines[-1]) if lines else START


def verify(path: Path, head: str = "") -> int:
    """How many records there are, if nobody has touched them; `head` is what the last one's hash
    is known to be. Raises StateError, which names the line."""
    expected, number = START, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                said = msgspec.json.decode(line)["previous"]
            except (msgspec.DecodeError, KeyError, TypeError):
                raise StateError(f"{path}:{number}: not a record of this log") from None
            if said != expected:
                raise StateError(f"{path}:{number}: something before this record was changed")
            expected = _hash(line.rstrip(b"\n"))
    if head not in ("", expected):
        raise StateError(
            f"{path}:{number}: records behind this one were removed, or it was changed"
        )
    return number


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
