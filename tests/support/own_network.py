"""A network namespace for a test: addresses that hosts of their own would have, on one machine.

    with own_network("10.1.0.1/16"):
        ...  # sockets and processes that are made here see these addresses, and nothing else

Platforms refuse loopback addresses for workloads; in here, every address of the ranges given is
this machine's own. It takes root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator

from components import absent

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def own_network(*ranges: str) -> Iterator[None]:
    """Move this thread, and what it starts, into a new namespace for the block."""
    if os.geteuid() != 0:
        absent("root", "network namespaces are made by root")
    if shutil.which("ip") is None:
        absent("ip", "apt-get install iproute2")
    with open("/proc/thread-self/ns/net") as before:
        _check(_libc.unshare(_CLONE_NEWNET))
        try:
            _ip("link", "set", "lo", "up")
            for one in ranges:
                _ip("address", "add", one, "dev", "lo")
            yield
        finally:
            _check(_libc.setns(before.fileno(), _CLONE_NEWNET))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
