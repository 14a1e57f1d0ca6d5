"""systemd's notification protocol (sd_notify(3)): readiness, reloads, the watchdog."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping


def notify(*states: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell systemd; False where nobody listens, which is no error."""
    path = environment.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            # A full queue must not stop the event loop.
            to.setblocking(False)
            to.sendto("\n".join(states).encode(), address)
    except OSError:
        return False
    return True


def reloading() -> None:
    """A reload begins; READY ends it. systemd wants the time on its monotonic clock."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


async def watchdog(environment: Mapping[str, str] = os.environ) -> None:
    """Show twice per watchdog interval that the event loop turns; returns if none is set."""
    interval = _interval(environment)
    while interval:
        notify("WATCHDOG=1", environment=environment)
        await asyncio.sleep(interval / 2)


def _interval(environment: Mapping[str, str]) -> float:
    """Seconds; 0 where no watchdog is meant for this process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0
    said = environment.get("WATCHDOG_USEC", "")
    return int(said) / 1_000_000 if said.isdecimal() else 0
