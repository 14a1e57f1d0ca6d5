"""Processes of the demo: started with a log of their own, ended by id, none left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

_GRACE = 5.0
_LAST_LINES = 12


class ProcessFailed(Exception):
    """A process ended before it was ready; the message carries the end of its log."""


class Process:
    """One running program."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self.log, self._child = name, log, child

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> Process:
        """Start it in a session of its own, so that Ctrl-C at the terminal reaches only us."""
        log = folder / f"{name}.log"
        with log.open("ab") as errors:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment},
                start_new_session=True,
                limit=1 << 20,
            )
        return cls(name, child, log)

    async def line(self, timeout: float = 20.0) -> str:
        """The next line it prints. Raises ProcessFailed where it ends or stays silent."""
        assert self._child.stdout is not None
        try:
            async with asyncio.timeout(timeout):
                line = await self._child.stdout.readline()
        except TimeoutError:
            raise ProcessFailed(f"{self.name} says nothing\n{self.tail()}") from None
        if not line:
            await self._child.wait()
            raise ProcessFailed(f"{self.name} ended\n{self.tail()}")
        return line.decode().strip()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.returncode is None

    def tail(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_LAST_LINES:])

    async def kill(self) -> None:
        """End it, and whatever it has started, without a word of warning."""
        if self.is_running:
            os.killpg(self._child.pid, signal.SIGKILL)
        await self._child.wait()

    async def stop(self) -> None:
        """Ask it to end, and make it end after 5 seconds."""
        if self.is_running:
            os.kill(self._child.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(_GRACE):
                await self._child.wait()
        except TimeoutError:
            await self.kill()
