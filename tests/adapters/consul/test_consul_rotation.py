"""Certificates of a real Consul that are replaced, down to the authority, while it is followed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from consul_catalogue import register, sessions
from consul_server import ConsulAgent
from consul_tls import Authority, Pair
from pilot_adapter_consul.adapter import Consul
from pilot_adapter_consul.settings import ConsulConfig
from pilot_core.testing import RecordingSink, host

WEB = "web.service.consul"


class Files:
    """What the agent and the adapter are configured with, to be replaced at any time."""

    def __init__(self, folder: Path) -> None:
        self.trusted, self.server, self.client = (
            folder / "trusted.pem",
            Pair(folder / "server.pem", folder / "server.key"),
            Pair(folder / "client.pem", folder / "client.key"),
        )

    def trust(self, *authorities: Authority) -> None:
        self._write(self.trusted, b"".join(a.file.read_bytes() for a in authorities))

    def issue(self, authority: Authority) -> None:
        """New certificates for both sides."""
        for pair, name in ((self.server, "server.dc1.consul"), (self.client, "client.dc1.consul")):
            issued = authority.issue(name)
            self._write(pair.cert, issued.cert.read_bytes())
            self._write(pair.key, issued.key.read_bytes())

    def _write(self, path: Path, content: bytes) -> None:
        beside = path.with_suffix(".new")
        beside.write_bytes(content)
        shutil.move(beside, path)

    @property
    def tls(self) -> dict[str, Any]:
        """The agent's configuration."""
        https = {"verify_incoming": True}
        cert = {"cert_file": str(self.server.cert), "key_file": str(self.server.key)}
        return {"defaults": {"ca_file": str(self.trusted)}, "https": {**https, **cert}}

    def config(self, url: str) -> ConsulConfig:
        return ConsulConfig(
            address=url,
            ca_file=self.trusted,
            cert_file=self.client.cert,
            key_file=self.client.key,
        )


async def test_an_authority_is_replaced_step_by_step_and_no_change_is_missed(tmp_path: Path):
    folders = [tmp_path / name for name in ("old", "new", "files")]
    for folder in folders:
        folder.mkdir()
    old, new, files = Authority(folders[0]), Authority(folders[1]), Files(folders[2])
    files.trust(old)
    files.issue(old)
    async with ConsulAgent(config={"tls": files.tls}) as consul:
        url = f"https://127.0.0.1:{consul.ports['https']}"
        adapter, sink = Consul(files.config(url), host()), RecordingSink()
        steps = (lambda: files.trust(old, new), lambda: files.issue(new), lambda: files.trust(new))
        await register(consul, "web")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(sessions(adapter, sink))
            await sink.until(lambda: ["10.1.0.1"] == sink.addresses(WEB))
            for number, step in enumerate(steps, 2):
                step()
                # Consul reads its files again; the adapter does with its next session.
                await consul.process.restart()
                await register(consul, "web", f"10.1.0.{number}")
                await sink.until(lambda n=number: f"10.1.0.{n}" in sink.addresses(WEB))
                assert [f"10.1.0.{n}" for n in range(1, number + 1)] == sink.addresses(WEB)
            reading.cancel()
