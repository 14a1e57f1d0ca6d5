"""A whole mesh with mutual TLS from processes alone: the daemon, and `pilot-core proxy` for each
workload, which joins by a token as people would have it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from mesh import Child, Daemon, Mesh, document, free_port, http_get, mesh, spawn, until

DOMAIN = "cluster.local"


class SecureDaemon(Daemon):
    """`pilot-core run` with a port for mutual TLS, and the verbs that change its authority."""

    def __init__(self, folder: Path, adapters: str, *, identity: str = "") -> None:
        super().__init__(folder, adapters)
        self.secure = f"127.0.0.1:{free_port()}"
        self.state = folder / "state"
        self.ca = folder / "root.pem"
        self._identity = identity

    def write_config(self) -> None:
        self._more = f"state_dir: {self.state}\n{self._identity}"
        super().write_config()
        plain = f'xds: {{address: "{self.xds}"}}'
        both = f'xds: {{address: "{self.xds}", secure_address: "{self.secure}"}}'
        self.config.write_text(self.config.read_text().replace(plain, both))

    async def start(self, **environment: str) -> None:
        await super().start(**environment)
        _, roots = await http_get(self.admin, "/api/v1/ca/bundle")
        self.ca.write_bytes(roots)

    async def restart(self) -> None:
        """Killed without a word, and started again."""
        assert self.child is not None
        await self.child.kill()
        await self.start()

    async def change(self, path: str, **body: Any) -> tuple[int, Any]:
        token = (self.state / "admin.token").read_text()
        headers = {"authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            answer = await session.post(f"http://{self.admin}/api/v1/{path}", json=body)
            return answer.status, await answer.json()

    async def step(self, step: str, signer: str = "", *, force: bool = False) -> dict[str, Any]:
        status, said = await self.change(f"ca/{step}", signer=signer, force=force)
        assert status == 200, said
        found: dict[str, Any] = said
        return found

    async def token(self, account: str, namespace: str = "default") -> str:
        status, said = await self.change("tokens", paths=[f"/ns/{namespace}/sa/{account}"])
        assert status == 201, said
        return str(said["token"])


class Sidecar:
    """One `pilot-core proxy` with the agent in it."""

    def __init__(self, account: str, ip: str) -> None:
        self.account, self.ip = account, ip
        self.admin = f"{ip}:{free_port()}"
        self.http = f"{ip}:{free_port()}"
        self.child: Child | None = None


class Stage:
    """Starts things, and forgets about ending them."""

    def __init__(self, mesh_: Mesh) -> None:
        self.mesh = mesh_
        self.sidecars: dict[str, Sidecar] = {}
        self.agents: dict[str, Child] = {}

    async def daemon(self, *documents: str, identity: str = "") -> SecureDaemon:
        for number, text in enumerate(documents):
            self.mesh.write(f"{number}.yaml", text)
        files = f"- {{name: files, kind: file, config: {{paths: [{self.mesh.catalogue}]}}}}\n"
        made = SecureDaemon(self.mesh.folder, files, identity=identity)
        self.mesh.at_end(made.stop)
        await made.start()
        return made

    async def agent(self, daemon: SecureDaemon, account: str) -> Child:
        """An agent in a process of its own, which keeps what it has in a cache. Started again, it
        needs no token any more."""
        cache = self.mesh.folder / f"{account}.cache"
        options: tuple[str, ...] = ()
        if not cache.exists():
            token = self.mesh.folder / f"{account}.token"
            token.write_text(await daemon.token(account))
            options = ("--join-token-file", str(token))
        log = self.mesh.folder / f"{account}.agent.log"
        before = log.stat().st_size if log.exists() else 0
        child = await spawn(
            log,
            *(sys.executable, "-m", "pilot_core", "agent", "run", "--xds", daemon.secure),
            *("--ca", str(daemon.ca), "--cache", str(cache), *options),
            *("--socket", str(self.socket(account))),
        )
        self.agents[account] = child
        self.mesh.at_end(child.stop)

        async def listening() -> bool:
            return "listening socket=" in log.read_text()[before:]

        await until(listening, f"the agent of {account}")
        return child

    def socket(self, account: str) -> Path:
        return self.mesh.folder / f"{account}.sock"

    async def sidecar(self, daemon: SecureDaemon, account: str, ip: str, *options: str) -> Sidecar:
        """With the agent that was started for it, or else with one of its own."""
        made = self.sidecars.setdefault(account, Sidecar(account, ip))
        if account in self.agents:
            options = (*options, "--agent-socket", str(self.socket(account)))
        else:
            token = self.mesh.folder / f"{account}.token"
            token.write_text(await daemon.token(account))
            options = (*options, "--join-token-file", str(token))
        made.child = await spawn(
            self.mesh.folder / f"{account}.log",
            *(sys.executable, "-m", "pilot_core", "proxy", "--workload", account),
            *("--service-account", account, "--address", ip, "--xds", daemon.secure, "--tls"),
            *("--ca", str(daemon.ca), "--http-listener", made.http, "--admin", made.admin),
            *("--base-id-auto", *options),
        )
        self.mesh.at_end(made.child.stop)

        async def in_sync() -> bool:
            proxies = await daemon.items("/api/v1/proxies")
            mine = [p for p in proxies if p["workload"] == account]
            return bool(mine) and all(
                (mine[0]["types"][kind] or {}).get("state") == "synced" for kind in ("CDS", "LDS")
            )

        await until(in_sync, f"{account} in sync; {made.child.words()[-2000:]}")
        return made


@contextlib.asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    async with mesh() as made:
        yield Stage(made)


class Load:
    """Requests without a pause through several addresses, each on a connection of its own."""

    def __init__(self, *targets: tuple[str, str], tasks: int = 2) -> None:
        """Each target is an address with the Host header for it."""
        self._targets, self._number = targets, tasks
        self.served: dict[str, int] = dict.fromkeys((address for address, _ in targets), 0)
        self.failed: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def total(self) -> int:
        return sum(self.served.values()) + len(self.failed)

    async def _ask(self, address: str, host: str) -> None:
        while True:
            try:
                status, body = await http_get(address, host=host)
            except (OSError, TimeoutError) as error:
                self.failed.append(f"{address}: {error!r}")
                continue
            if status == 200:
                self.served[address] += 1
            else:
                self.failed.append(f"{address}: {status} {body[:200]!r}")

    async def __aenter__(self) -> Load:
        self._tasks = [
            asyncio.create_task(self._ask(*target))
            for target in self._targets
            for _ in range(self._number)
        ]
        await self.more(20)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()

    async def more(self, count: int) -> None:
        """Wait until so many more have been answered through each address, well or badly."""
        before = dict(self.served)
        failed = len(self.failed)

        async def enough() -> bool:
            is_served = all(self.served[a] >= before[a] + count for a in self.served)
            return is_served or len(self.failed) > failed + count

        await until(enough, f"{count} more requests through each")


__all__ = ["DOMAIN", "Load", "SecureDaemon", "Sidecar", "Stage", "document", "stage"]
