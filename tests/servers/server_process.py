"""Server processes on loopback that end with the test, and how to talk to them.

A `Server` is an async context: what it has started and written is gone when the context ends. Its
processes are also gone when the test process is killed (Linux tells them).
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import random
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

import server_build
from components import absent
from pilot_core.connector import Connector

LOOPBACK = "127.0.0.1"
PATIENCE = 120.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

Json = Any


class ServerError(Exception):
    """A server did not start, or ended; the text has the end of its log."""


class Refused(Exception):
    """A server answered with an error status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status, self.text = status, text


class Answer:
    """What a server answered: headers, and the decoded body (text where it is no JSON)."""

    def __init__(self, headers: Mapping[str, str], body: Json) -> None:
        self.headers, self.body = headers, body


def binary(name: str) -> Path:
    """A server's program; where there is none, the test is skipped, or fails in CI."""
    found = server_build.find(name)
    if found is None:
        absent(f"the server {name}", server_build.GO)
    assert found is not None
    return found


def free_ports(count: int) -> list[int]:
    """Ports free for TCP and UDP, below the range that the kernel gives to outgoing connections."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with suppress(OSError):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((LOOPBACK, port))
            ports.add(port)
    return list(ports)


async def wait_for(
    look: Callable[[], Awaitable[Json]], what: str, patience: float = PATIENCE
) -> Json:
    """What `look` returns once it is true; refusals and broken connections are waited out."""
    deadline = time.monotonic() + patience
    last: object = "nothing"
    while time.monotonic() < deadline:
        try:
            last = await look()
        except (OSError, TimeoutError, aiohttp.ClientError, Refused) as error:
            last = error
        else:
            if last:
                return last
        await asyncio.sleep(0.03)
    raise ServerError(f"waited {patience:g} s for {what}; last saw {last!r}")


class Process:
    """One program in a process group of its own; its output goes to `log`."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        ready: Callable[[], Awaitable[Json]],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command, self.log = list(command), log
        self.name = Path(command[0]).name
        self._environment = environment
        self._ready = ready
        self._child: subprocess.Popen[bytes] | None = None

    def set_environment(self, environment: Mapping[str, str]) -> None:
        """For the next start."""
        self._environment = environment

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ServerError(f"{self.name} is not running")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def words(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def cpu(self) -> float:
        """Seconds of CPU that it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def resident(self) -> int:
        """Bytes of memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    async def start(self) -> None:
        """Start it and wait until it serves."""
        self.spawn()
        await self.wait()

    def spawn(self) -> None:
        """Start it and do not wait."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    async def wait(self) -> None:
        """Wait until it serves; raise at once if it has ended instead."""

        async def serves() -> bool:
            if not self.running:
                raise ServerError(f"{self.name} ended; its log ends with:\n{self.words()}")
            return bool(await self._ready())

        await wait_for(serves, self.name)

    async def stop(self) -> None:
        """Ask it to end, and kill it if it has not after 10 s."""
        if self._child is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._child.wait, 10)
        await self.kill()

    async def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            self._signal(signal.SIGKILL)
            await asyncio.to_thread(self._child.wait)
            self._child = None

    async def restart(self) -> None:
        """Stop it and start it again on the same data and ports."""
        await self.stop()
        await self.start()

    def suspend(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)


class Server:
    """What the servers have in common: a folder, an HTTP API, and a context that owns all."""

    url: str
    token: str = ""
    tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self.folder = Path()
        self._owned = AsyncExitStack()

    async def call(
        self, method: str, target: str, body: Json = None, *, token: str | None = None
    ) -> Json:
        """One request; the decoded answer. Raises Refused."""
        return (await self.send(method, target, body, token=token)).body

    async def send(
        self,
        method: str,
        target: str,
        body: Json = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Answer:
        """One request on a connection of its own. Raises Refused."""
        patch = "application/merge-patch+json" if method == "PATCH" else "application/json"
        said = {"content-type": patch, "accept": "application/json, */*", **(headers or {})}
        if token := self.token if token is None else token:
            said["authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        connector = Connector(ssl=self.tls or True)
        limit = aiohttp.ClientTimeout(total=timeout)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limit) as client,
            client.request(method, self.url + target, data=data, headers=said) as answer,
        ):
            text = await answer.text()
            if answer.status >= 400:
                raise Refused(answer.status, text)
            is_json = text and answer.content_type.endswith("json")
            return Answer(answer.headers, json.loads(text) if is_json else text)

    async def __aenter__(self) -> Self:
        async with self._owned:  # if the start fails half way, what was started is stopped
            folder = self._owned.enter_context(tempfile.TemporaryDirectory(prefix="server-"))
            self.folder = Path(folder)
            await self._start()
            self._owned = self._owned.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._owned.aclose()

    async def _start(self) -> None:
        """Start all there is to start; `_own` each process before."""

    def _own(self, process: Process) -> Process:
        self._owned.push_async_callback(process.stop)
        return process


def _end_with_parent() -> None:
    """In the child, before the program: die when the test process does, however it does."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
