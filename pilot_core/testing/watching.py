"""What a piece of code opens, starts and leaves behind, for checks that it does not.

Rule 1: audit hooks cannot be taken away again, so there is one for the whole process, which looks
only at threads that ask for it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_FOLDER = "/proc/self/fd"
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_IO = (*_NETWORK, "socket.bind", "open", "os.listdir", "os.scandir", "subprocess.Popen")
_MODULES = (".py", ".pyc", ".so")

_here = threading.local()
_install = threading.Lock()
_installed = False


@contextmanager
def network_calls() -> Iterator[list[str]]:
    """What this thread does with the network inside the block."""
    with _seen(lambda event, arguments: event in _NETWORK) as seen:
        yield seen


@contextmanager
def io_calls() -> Iterator[list[str]]:
    """What this thread does with files, processes and the network inside the block, and which
    threads it leaves running; imports do not count."""
    before = threads()
    with _seen(_is_io) as seen:
        yield seen
    seen.extend(f"thread {name}" for name in sorted(threads() - before))


def descriptors() -> set[str]:
    """The open sockets, pipes and kernel queues of this process; none where the system does not
    list them."""
    found = set()
    for number in os.listdir(_FOLDER) if os.path.isdir(_FOLDER) else ():
        try:
            target = os.readlink(f"{_FOLDER}/{number}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if not target.startswith("/"):
            found.add(target)
    return found


def tasks() -> set[str]:
    """The names of the tasks that run on this loop, but for the one that asks."""
    running = asyncio.all_tasks() - {asyncio.current_task()}
    return {task.get_name() for task in running if task is not None}


def threads() -> set[str]:
    """The threads that run, but for the event loop's pool: those are lent, not started."""
    return {
        f"{thread.name} ({thread.ident})"
        for thread in threading.enumerate()
        if not thread.name.startswith("asyncio_")
    }


def _is_io(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return not str(arguments[0]).endswith(_MODULES)
    return event in _IO


@contextmanager
def _seen(wanted: Callable[[str, tuple[Any, ...]], bool]) -> Iterator[list[str]]:
    _hook()
    seen: list[str] = []
    _here.watch = (wanted, seen)
    try:
        yield seen
    finally:
        _here.watch = None


def _hook() -> None:
    global _installed
    with _install:
        if not _installed:
            sys.addaudithook(_look)
            _installed = True


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    watch = getattr(_here, "watch", None)
    if watch is None:
        return
    wanted, seen = watch
    if wanted(event, arguments):
        seen.append(f"{event} {arguments[:2]}"[:200])
