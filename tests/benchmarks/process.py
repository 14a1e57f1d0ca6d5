"""A server under measurement: a process of its own, pinned to one core."""

from __future__ import annotations

import abc
import asyncio
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_SCHEDULED = 2
"""The kernel's number for the clock of what a process has run (clock_getcpuclockid(3))."""
_PATIENCE = 60.0


class Process(abc.ABC):
    """A Python program that says `listening xds=HOST:PORT admin=…` on stderr once it does."""

    def __init__(self, *, core: int | None = 0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.folder = Path(self._folder.name)
        self.xds = self.admin = "127.0.0.1:0"
        self._core = core
        self._process: asyncio.subprocess.Process | None = None

    @abc.abstractmethod
    async def start(self) -> None:
        """Start it; returns once its ports are open."""

    @abc.abstractmethod
    def write(self, name: str, entries: list[Any]) -> None:
        """Let the server tell its clients of a change."""

    async def launch(self, *arguments: str) -> None:
        """Start it; returns once its ports are open."""
        log = self.folder / "server.log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdout=out, stderr=out
            )
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, {self._core})
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            said = log.read_text()[before:]
            found = re.search(r"^listening xds=(\S+) admin=(\S+)$", said, re.MULTILINE)
            if found:
                self.xds, self.admin = found[1], found[2]
                return
            await asyncio.sleep(0.01)
        raise SystemExit(f"the server does not listen:\n{log.read_text()}")

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        await self.kill()
        self._folder.cleanup()

    def cpu(self) -> float:
        """CPU seconds so far, of all threads. By the process's own clock, for /proc counts in
        hundredths, and one change of a hundred proxies takes less."""
        assert self._process is not None
        return time.clock_gettime(~self._process.pid << 3 | _SCHEDULED)

    def rss(self) -> float:
        """Resident memory in MB."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024
