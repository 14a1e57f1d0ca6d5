"""One catalogue file: what it says now, what it said last, and what is wrong with it.

Rule 1: a file that cannot be read, or not yet, keeps what it last said.
Rule 2: bytes that were read before are not parsed again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time

import msgspec

from pilot_core.builtin.settled import is_settled
from pilot_core.builtin.survey import Stamp
from pilot_core.dialects import catalogue
from pilot_core.dialects.catalogue import Catalogue
from pilot_core.document.reader import MAX_BYTES
from pilot_core.errors import ConfigError, Finding

_FRESH = 0.1
"""Seconds: a file changed more recently than this may change again without a new time stamp."""


class Reading(msgspec.Struct, frozen=True):
    """What is known of one file."""

    stamp: Stamp | None
    """None: look at the bytes again next time, whatever the file system says."""
    inode: int
    size: int
    digest: bytes
    said: Catalogue | None
    """What it said when it could last be read; None where it never could."""
    failure: tuple[Finding, ...] = ()
    """Why the bytes that are there now say nothing."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that is wrong with the file now."""
        return self.failure or (self.said.refused if self.said else ())


class NotYet(msgspec.Struct, frozen=True):
    """Somebody is writing the file: look again soon."""


def read(name: str, before: Reading | None) -> Reading | NotYet:
    """The file as it is now; `before` itself where its bytes are the same. Blocks."""
    try:
        got = _content(name, before)
    except OSError as error:
        said = before.said if before else None
        return Reading(None, 0, 0, b"", said, (_unreadable(name, error),))
    if got is None:
        return NotYet()
    content, stamp = got
    digest = hashlib.blake2b(content, digest_size=16).digest()
    said = before.said if before else None
    failure: tuple[Finding, ...] = ()
    if before is not None and before.digest == digest:
        failure = before.failure
    else:
        try:
            said = catalogue.read(content, name, before=said or catalogue.NOTHING)
        except ConfigError as error:
            failure = error.findings
    return Reading(_trusted(stamp), stamp.inode, stamp.size, digest, said, failure)


def findings(name: str) -> tuple[Finding, ...]:
    """All that is wrong with the file as it is now, written to or not. Blocks."""
    try:
        with open(name, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        return catalogue.read(content, name).refused
    except OSError as error:
        return (_unreadable(name, error),)
    except ConfigError as error:
        return error.findings


def _unreadable(name: str, error: OSError) -> Finding:
    return Finding(name, 0, 0, f"cannot be read: {error.strerror or error}")


def _trusted(stamp: Stamp) -> Stamp | None:
    """The stamp, once a change of the file would change it too."""
    return stamp if time.time() - stamp.changed / 1e9 > _FRESH else None


def _content(name: str, before: Reading | None) -> tuple[bytes, Stamp] | None:
    """The file's bytes, one more than the limit at most; None while somebody writes it."""
    # Without O_NONBLOCK, to open a pipe would wait for somebody to write into it.
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no file")
        stamp = Stamp.of(status)
        size_before = before.size if before and before.inode == stamp.inode else None
        if not is_settled(descriptor, now=time.time(), size_before=size_before):
            return None
        content = file.read(MAX_BYTES + 1)
        # Whoever began to write meanwhile has changed the stamp, or still has it open.
        unchanged = Stamp.of(os.fstat(descriptor)) == stamp
        if unchanged and is_settled(descriptor, now=time.time(), size_before=size_before):
            return content, stamp
        return None
