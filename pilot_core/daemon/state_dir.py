"""The state directory: private to us, and used by one daemon at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilot_core.errors import ConfigError

STATE_FILE = "state.sqlite"
_LOCK_FILE = "lock"


@contextmanager
def locked(directory: Path) -> Iterator[Path]:
    """The path of the state file, while nobody else uses the directory.

    Raises ConfigError where the directory cannot be used, or another daemon uses it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"state_dir {directory} cannot be used: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"state_dir {directory} is used by another pilot-core") from None
        yield directory / STATE_FILE
    finally:
        os.close(lock)
