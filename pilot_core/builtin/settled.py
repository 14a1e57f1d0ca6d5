"""Has whoever writes a file finished? A file that is read half-written may well be sound YAML, with
half of its services missing.

On Linux the kernel knows: a read lease is granted only while nobody has the file open for writing.
It is given back at once. Where leases are not to be had (files of somebody else, network mounts),
a file counts as finished once it has been left alone for a while.
"""

from __future__ import annotations

import fcntl
import os
import signal

_F_SETSIG = 10
_ABANDONED = 2.0
"""Seconds without a change after which a file is read though somebody still has it open."""
_SHRUNK = 1.0
_QUIET = 0.02


def is_settled(descriptor: int, *, now: float, size_before: int | None) -> bool:
    """The open file can be read. `size_before` is what the same file measured when it was read
    last, None for another file; `now` is in seconds since the epoch."""
    status = os.fstat(descriptor)
    # A time stamp from the future (a server's clock) must not hold a file back for ever.
    alone = now - status.st_mtime if status.st_mtime <= now else _ABANDONED
    written = _is_being_written(descriptor)
    if written is None:
        has_shrunk = size_before is not None and status.st_size < size_before
        return alone >= (_SHRUNK if has_shrunk else _QUIET)
    return not written or alone >= _ABANDONED


def _is_being_written(descriptor: int) -> bool | None:
    """None where the kernel does not say."""
    try:
        # A writer that comes in between the next two calls makes the kernel send a signal to us:
        # one that is ignored unless somebody handles it, rather than SIGIO, which would kill.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except (OSError, AttributeError):
        return None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
