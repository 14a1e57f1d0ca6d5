"""The stage of the demo: a temporary folder, loopback addresses of its own, and what runs there.

Every workload has an address in 127.0.0.0/8 for its sidecar; the application beside it listens on
127.0.0.1 and knows only the sidecar's HTTP port. Nothing outside loopback is touched.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import socket
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec

from pilot_core.demo.process import Process, ProcessFailed

SERVICE_PORT = 9080
HTTP_PORT = 15001
NAMESPACE = "books"


class StageError(Exception):
    """The stage cannot be set up on this machine; says what to do."""


class Workload(msgspec.Struct, frozen=True):
    """An application with its sidecar; `address` is the sidecar's, `app` the application's port."""

    service: str
    instance: str
    address: str
    app: int

    @property
    def name(self) -> str:
        return f"{self.service}-{self.instance}"

    @property
    def account(self) -> str:
        """The service account, which its certificate names."""
        return self.service


class Stage:
    """Use it as `async with Stage() as stage`: at the end no process and no file is left."""

    def __init__(self) -> None:
        self._exit = AsyncExitStack()
        self._network = _free_network()
        self._hosts = 10
        self.folder = Path()
        self.processes: dict[str, Process] = {}

    async def __aenter__(self) -> Stage:
        self.folder = Path(tempfile.mkdtemp(prefix="pilot-core-demo-"))
        self._exit.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._exit.push_async_callback(self._stop_all)
        (self.folder / "logs").mkdir()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._exit.aclose()

    def address(self) -> str:
        """A loopback address that nobody else on the stage has."""
        self._hosts += 1
        return f"{self._network}.{self._hosts}"

    @property
    def xds(self) -> str:
        return f"{self._network}.1:15010"

    @property
    def secure(self) -> str:
        return f"{self._network}.1:15012"

    @property
    def admin(self) -> str:
        return f"{self._network}.1:15014"

    @property
    def catalogue(self) -> str:
        return f"{self._network}.2:8600"

    async def start(self, name: str, *command: str, **environment: str) -> Process:
        """Start `python ARGUMENTS…` under this name."""
        process = await Process.start(
            name,
            [sys.executable, *command],
            folder=self.folder / "logs",
            # Their temporary files go where ours do.
            environment={"TMPDIR": str(self.folder), **environment},
        )
        self.processes[name] = process
        return process

    def place(self, service: str, instance: str) -> Workload:
        """A workload that does not run yet."""
        return Workload(service, instance, self.address(), 0)

    async def application(self, workload: Workload) -> Workload:
        """The application of a workload, running; nothing is beside it yet."""
        proxy = f"{workload.address}:{HTTP_PORT}"
        app = await self.start(
            workload.name,
            *("-m", "pilot_core.demo.shop", workload.service),
            *("--instance", workload.instance, "--proxy", proxy),
        )
        return msgspec.structs.replace(workload, app=int(await app.line()))

    async def sidecar(self, workload: Workload) -> None:
        """The Envoy beside it, with an agent that joins by a token made for this workload alone."""
        asked = {"paths": [f"/ns/{NAMESPACE}/sa/{workload.account}"], "who": "demo"}
        made = await self.change("/api/v1/tokens", asked)
        token = self.folder / f"{workload.name}.token"
        token.write_text(made["token"])
        await self.start(f"envoy-{workload.name}", *self._proxy_command(workload, token))

    def _proxy_command(self, workload: Workload, token: Path) -> list[str]:
        return [
            *("-m", "pilot_core", "proxy"),
            *("--workload", workload.name, "--namespace", NAMESPACE),
            *("--service-account", workload.account),
            *("--address", workload.address, "--xds", self.secure),
            *("--ca", str(self.roots), "--join-token-file", str(token)),
            *("--http-listener", f"{workload.address}:{HTTP_PORT}"),
            *("--inbound", f"{SERVICE_PORT}=127.0.0.1:{workload.app}"),
            *("--admin", f"{workload.address}:15000", "--base-id-auto"),
        ]

    @property
    def roots(self) -> Path:
        """What the control plane is known by."""
        return self.folder / "root-cert.pem"

    async def keep_roots(self) -> None:
        """What `pilot-core ca export` prints, for the agents."""
        url = f"http://{self.admin}/api/v1/ca/bundle"
        self.roots.write_bytes(await asyncio.to_thread(_read, Request(url)))

    async def change(self, path: str, body: dict[str, Any]) -> Any:
        """Have the daemon change something. Raises OSError where it does not."""
        token = (self.folder / "state" / "admin.token").read_text()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        request = Request(f"http://{self.admin}{path}", json.dumps(body).encode(), headers)
        return json.loads(await asyncio.to_thread(_read, request))

    async def ask(self, path: str) -> Any:
        """The daemon's answer on its HTTP API. Raises OSError where it does not answer."""
        return await asyncio.to_thread(_fetch, f"http://{self.admin}{path}")

    async def _stop_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for process in self.processes.values():
                group.create_task(process.stop())

    def check(self) -> None:
        """Raise ProcessFailed where something that should run does not."""
        for process in self.processes.values():
            if not process.is_running:
                raise ProcessFailed(f"{process.name} ended\n{process.tail()}")


def _fetch(url: str) -> Any:
    return json.loads(_read(Request(url, headers={"accept": "application/json"})))


def _read(request: Request) -> bytes:
    with urlopen(request, timeout=5) as answer:
        read: bytes = answer.read()
        return read


def _free_network() -> str:
    """The first three bytes of a loopback network whose ports are ours alone."""
    for _ in range(50):
        network = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}"
        try:
            with socket.create_server((f"{network}.1", 15010)):
                return network
        except OSError as error:
            last = error
    raise StageError(
        f"cannot listen on addresses such as 127.10.1.1 ({last}); "
        "the demo needs Linux, where all of 127.0.0.0/8 is loopback"
    )
