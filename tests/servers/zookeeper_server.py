"""A real ZooKeeper on loopback, from Debian's packages, unpacked and not installed.

    async with ZooKeeperServer() as zookeeper:
        client = KazooClient(zookeeper.hosts)

It takes a Java runtime; where there is none, `make servers` installs Debian's, as root.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import zookeeper_build
from components import absent
from server_process import LOOPBACK, Process, Server, free_ports

_JARS = (
    "zookeeper",
    "zookeeper-jute",
    "slf4j-api",
    "slf4j-simple",
    "commons-cli",
    "metrics-core",
    "snappy-java",
)
_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
_TICK = 200


class ZooKeeperServer(Server):
    """One server; `more` is laid over its configuration. Sessions end after 4 s of silence."""

    process: Process

    def __init__(self, more: Mapping[str, str] | None = None) -> None:
        super().__init__()
        [self.port] = free_ports(1)
        self.hosts = f"{LOOPBACK}:{self.port}"
        self._more = dict(more or {})

    async def _start(self) -> None:
        jars = _jars()
        settings = {
            "tickTime": str(_TICK),
            "maxSessionTimeout": "4000",
            "dataDir": str(self.folder / "data"),
            "clientPort": str(self.port),
            "clientPortAddress": LOOPBACK,
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "ruok",
            **self._more,
        }
        file = self.folder / "zoo.cfg"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        path = ":".join(map(str, jars))
        command = [str(shutil.which("java")), "-Xmx96m", "-cp", path, _MAIN, str(file)]
        self.process = Process(command, self.folder / "log", self._is_ready)
        await self._own(self.process).start()

    async def _is_ready(self) -> bool:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            writer.write(b"ruok")
            return await reader.read(4) == b"imok"
        finally:
            writer.close()


def _jars() -> list[Path]:
    if not shutil.which("java") or not zookeeper_build.home().is_dir():
        absent("ZooKeeper", zookeeper_build.CURE)
    folder = zookeeper_build.home() / "usr/share/java"
    return [*(folder / f"{name}.jar" for name in _JARS), *sorted(folder.glob("netty-*.jar"))]
