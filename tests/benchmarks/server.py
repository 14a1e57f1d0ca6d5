"""The daemon under measurement: the real one, in a process of its own, pinned to one core."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
CHANGING = "changing.bench.mesh"


class Server:
    """`pilot-core run` over a folder of catalogue files: one large, one small that changes."""

    def __init__(self, services: int, *, endpoints: int = 5, core: int | None = 0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.folder = Path(self._folder.name)
        self.catalogue = self.folder / "catalogue"
        self.catalogue.mkdir()
        self.xds = self.admin = "127.0.0.1:0"
        self._core = core
        self._process: asyncio.subprocess.Process | None = None
        self._write_catalogue(services, endpoints)

    def _write_catalogue(self, services: int, endpoints: int) -> None:
        for start in range(0, services - 1, 1_000):
            entries = [
                service(
                    f"s{n}.bench.mesh",
                    [f"10.{n >> 8 & 255}.{n & 255}.{e + 1}" for e in range(endpoints)],
                )
                for n in range(start, min(start + 1_000, services - 1))
            ]
            self.write(f"services-{start:06}.yaml", entries)
        self.write("changing.yaml", [service(CHANGING, ["10.250.0.1"])])

    def write(self, name: str, entries: list[str]) -> None:
        """Put a catalogue file in place at once."""
        beside = self.folder / f"{name}.new"
        beside.write_text("services:\n" + "".join(entries) if entries else "services: []\n")
        beside.rename(self.catalogue / name)

    async def start(self) -> None:
        """Start it; returns once its ports are open. Started again, it keeps them."""
        config = self.folder / "pilot.yaml"
        config.write_text(
            "apiVersion: pilot-core/v1\n"
            f"adapters:\n- {{name: files, kind: file, config: {{paths: [{self.catalogue}]}}}}\n"
            f'xds: {{address: "{self.xds}"}}\nadmin: {{address: "{self.admin}"}}\n'
        )
        log = self.folder / "daemon.log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pilot_core", "run", "-c", str(config)),
                stdout=out,
                stderr=out,
            )
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, {self._core})
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            said = log.read_text()[before:]
            found = re.search(r"^listening xds=(\S+) admin=(\S+)$", said, re.MULTILINE)
            if found:
                self.xds, self.admin = found[1], found[2]
                return
            await asyncio.sleep(0.01)
        raise SystemExit(f"the daemon does not listen:\n{log.read_text()}")

    async def ready(self) -> None:
        """Return when /readyz says so."""
        while True:
            try:
                await asyncio.to_thread(urllib.request.urlopen, f"http://{self.admin}/readyz")
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        await self.kill()
        self._folder.cleanup()

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def cpu(self) -> float:
        """CPU seconds so far, of all threads."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss(self) -> float:
        """Resident memory in MB."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024


def service(hostname: str, addresses: list[str]) -> str:
    endpoints = ", ".join(f"{{address: {a}, ports: {{http: 8080}}}}" for a in addresses)
    return (
        f"- hostname: {hostname}\n"
        "  ports: [{name: http, number: 80, protocol: http}]\n"
        f"  endpoints: [{endpoints}]\n"
    )
