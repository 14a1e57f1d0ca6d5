"""The daemon under measurement: the real one, over a folder of catalogue files."""

from __future__ import annotations

import asyncio
import signal
import urllib.request

from process import Process

CHANGING = "changing.bench.mesh"


class Server(Process):
    """`pilot-core run` over files of a thousand services each, and a small one that changes."""

    def __init__(self, services: int, *, endpoints: int = 5, core: int | None = 0) -> None:
        super().__init__(core=core)
        self.catalogue = self.folder / "catalogue"
        self.catalogue.mkdir()
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
        await self.launch("-m", "pilot_core", "run", "-c", str(config))

    async def ready(self) -> None:
        """Return when /readyz says so."""
        while True:
            try:
                await asyncio.to_thread(urllib.request.urlopen, f"http://{self.admin}/readyz")
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return

    def reload(self) -> None:
        self.signal(signal.SIGHUP)


def service(hostname: str, addresses: list[str]) -> str:
    # Proxies without an agent are told nothing of it.
    more = "ports: {http: 8080}, service_account: bench, tls: mutual"
    endpoints = ", ".join(f"{{address: {a}, {more}}}" for a in addresses)
    return (
        f"- hostname: {hostname}\n"
        "  ports: [{name: http, number: 80, protocol: http}]\n"
        f"  endpoints: [{endpoints}]\n"
    )
