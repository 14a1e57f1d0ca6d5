"""State on disk that has to be there after a crash, and that nobody else may read."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from pilot_core.errors import PilotError


class StateError(PilotError):
    """What is kept on disk cannot be read, or not be written."""


def private_folder(folder: Path) -> None:
    """Make it, or see that it is private to us. Raises StateError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise StateError(f"{folder} cannot be used: {error.strerror}") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise StateError(f"{folder} is open to others: chmod 700 it")


def write(path: Path, content: bytes) -> None:
    """All of it or nothing, and on the disk when this returns; mode 0600. Raises StateError."""
    new = path.with_name(path.name + ".new")
    try:
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(file, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(file)
        settle(new, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise StateError(f"{path} cannot be written: {error.strerror}") from None


def settle(new: Path, path: Path) -> None:
    """Put a finished file in its place. Raises OSError."""
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Without it, a crash of the machine may undo the renaming.
        os.fsync(folder)
    finally:
        os.close(folder)
