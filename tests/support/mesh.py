"""A mesh for tests: the real daemon, real Envoys and small HTTP backends, all on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from components import envoy_binary

PATIENCE = 30.0


async def until(look: Callable[[], Awaitable[Any]], what: str) -> Any:
    """What `look` returns once it is true; fails, saying what was waited for, after 30 s."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    last: object = None
    while loop.time() < deadline:
        try:
            last = await look()
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            last = error
        else:
            if last:
                return last
        await asyncio.sleep(0.01)
    raise AssertionError(f"waited for {what}; last saw {last!r}")


def _own_ports() -> Iterator[int]:
    """This process's share, again and again: below the ports that the kernel gives to outgoing
    connections, beside those of servers (tests/servers) and of pilot-core's defaults."""
    ports = [*range(10_300, 14_900), *range(15_200, 19_900)]
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = ports[int(number) :: count]
    start = random.randrange(len(share))
    return itertools.cycle(share[start:] + share[:start])


_ports = _own_ports()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, and nobody else is told of: Envoys share a
    port with whoever has it, without a word."""
    for port in itertools.islice(_ports, 10_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


async def http_get(
    address: str,
    path: str = "/",
    *,
    host: str = "",
    method: str = "GET",
    headers: tuple[str, ...] = (),
    timeout: float = 10.0,
) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own; `headers` are whole lines."""
    ip, _, port = address.rpartition(":")
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(ip, int(port))
        try:
            lines = [f"{method} {path} HTTP/1.1", f"host: {host or address}", "connection: close"]
            lines += headers
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            return await _answer(reader)
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        # Not to the end of the connection, which Envoy puts off for a second.
        body = await (reader.readexactly(int(length[1])) if length else reader.read())
    except asyncio.IncompleteReadError:
        raise ConnectionError("closed without an answer") from None
    return int(head.split(b" ", 2)[1]), _dechunked(head, body)


def _dechunked(head: bytes, body: bytes) -> bytes:
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :] if length else b""
    return whole


class Backend:
    """An HTTP server that answers every request with its own name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests = 0
        self.last = ""
        """The last request's head."""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(
        self, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._server = await asyncio.start_server(self._serve, address, port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def start_unix(self, path: Path) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def kill(self) -> None:
        """Stop, and leave those who are connected."""
        await self.stop()
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            asked = b""
            while b"connection: close" not in asked:
                asked = await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                self.last = asked.decode()
                body = self.name.encode()
                head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                writer.write(head + body)
                await writer.drain()
        self._open.discard(writer)
        writer.close()


class Child:
    """A process that ends with the test."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self.log = process, log

    @property
    def pid(self) -> int:
        return self.process.pid

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        await self._end(signal.SIGTERM)
        return self.process.returncode or 0

    async def _end(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
            try:
                async with asyncio.timeout(15):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()

    def words(self) -> str:
        return self.log.read_text(errors="replace")


async def spawn(log: Path, *command: str, **environment: str) -> Child:
    """Start a program whose output goes to `log`."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
        )
    return Child(process, log)


class Daemon:
    """`pilot-core run` on free ports, with whatever configuration the test writes."""

    def __init__(self, folder: Path, adapters: str, *, more: str = "") -> None:
        self.folder = folder
        self.config = folder / "pilot.yaml"
        self.xds = "127.0.0.1:0"
        self.admin = "127.0.0.1:0"
        self._adapters, self._more = adapters, more
        self.options: tuple[str, ...] = ()
        self.child: Child | None = None

    def write_config(self) -> None:
        self.config.write_text(
            "apiVersion: pilot-core/v1\n"
            f"adapters:\n{self._adapters}"
            f'xds: {{address: "{self.xds}"}}\n'
            f'admin: {{address: "{self.admin}"}}\n{self._more}'
        )

    async def start(self, **environment: str) -> None:
        """Start it and wait for its ports; started again, it keeps the ports it had."""
        self.write_config()
        log = self.folder / "daemon.log"
        before = log.stat().st_size if log.exists() else 0
        command = [sys.executable, "-m", "pilot_core", "run", "-c", str(self.config)]
        self.child = await spawn(log, *command, *self.options, **environment)

        async def listening() -> re.Match[str] | None:
            assert self.child is not None
            said = log.read_text()[before:]
            if self.child.process.returncode is not None:
                raise AssertionError(f"the daemon ended:\n{said}")
            return re.search(
                r"^listening xds=(\S+) admin=(\S+)(?: secure=(\S+))?$", said, re.MULTILINE
            )

        found = await until(listening, "the daemon to listen")
        self.xds, self.admin = found[1], found[2]

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()

    async def ask(self, path: str) -> Any:
        status, body = await http_get(self.admin, path)
        if status != 200:
            raise ConnectionError(f"{path}: {status} {body!r}")
        return json.loads(body)

    async def items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask(path))["items"]
        return found

    async def nacks(self) -> list[dict[str, Any]]:
        return [p for p in await self.items("/api/v1/problems") if p["code"] == "nack"]


class Envoy:
    """A real Envoy with the bootstrap that `pilot-core bootstrap` prints."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.admin = ""
        self.child: Child | None = None

    async def start(self, xds: str, *options: str) -> None:
        bootstrap = self.folder / f"{self.name}.json"
        command = [sys.executable, "-m", "pilot_core", "bootstrap", "--workload", self.name]
        printed = await asyncio.create_subprocess_exec(
            *command,
            *("--xds", xds, "--admin", "127.0.0.1:0", "-o", "json", *options),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await printed.communicate()
        assert printed.returncode == 0
        bootstrap.write_bytes(out)
        await self.run(bootstrap)

    async def run(self, bootstrap: Path) -> None:
        where = self.folder / f"{self.name}.admin"
        self.child = await spawn(
            self.folder / f"{self.name}.log",
            *(str(envoy_binary()), "-c", str(bootstrap), "--disable-hot-restart"),
            *("--concurrency", "1", "--admin-address-path", str(where), "-l", "warning"),
        )

        async def written() -> str:
            assert self.child is not None
            if self.child.process.returncode is not None:
                raise AssertionError(f"Envoy ended:\n{self.child.words()}")
            return where.read_text().strip() if where.exists() else ""

        self.admin = await until(written, "Envoy's admin address")

    async def kill(self) -> None:
        if self.child is not None:
            await self.child.kill()

    async def stat(self, name: str) -> int:
        _, body = await http_get(self.admin, f"/stats?filter=^{name}$&format=json")
        stats = json.loads(body)["stats"]
        return int(stats[0]["value"]) if stats else 0

    async def clusters(self) -> str:
        _, body = await http_get(self.admin, "/clusters")
        return body.decode()

    async def listeners(self) -> str:
        _, body = await http_get(self.admin, "/listeners")
        return body.decode()

    async def rejected(self) -> int:
        """How many updates this Envoy has refused, of any type."""
        _, body = await http_get(self.admin, "/stats?filter=update_rejected&format=json")
        return sum(int(s.get("value", 0)) for s in json.loads(body)["stats"])


class Mesh:
    """What a test uses: start things, and forget about ending them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = folder / "catalogue"
        self.catalogue.mkdir()
        self._stack = contextlib.AsyncExitStack()

    async def daemon(self, adapters: str = "", *, more: str = "", **environment: str) -> Daemon:
        """A daemon over `self.catalogue`, or over the adapters that the test names."""
        files = f"- {{name: files, kind: file, config: {{paths: [{self.catalogue}]}}}}\n"
        daemon = Daemon(self.folder, adapters or files, more=more)
        self._stack.push_async_callback(daemon.stop)
        await daemon.start(**environment)
        return daemon

    async def envoy(self, daemon: Daemon, name: str, *options: str) -> Envoy:
        envoy = Envoy(self.folder, name)
        self._stack.push_async_callback(envoy.kill)
        await envoy.start(daemon.xds, *options)
        return envoy

    def at_end(self, end: Callable[[], Awaitable[Any] | None]) -> None:
        """Do that when the mesh ends."""

        async def do() -> None:
            ending = end()
            if ending is not None:
                await ending

        self._stack.push_async_callback(do)

    async def backend(
        self,
        name: str,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> Backend:
        backend = Backend(name)
        self._stack.push_async_callback(backend.stop)
        await backend.start(address, port, tls)
        return backend

    async def unix_backend(self, name: str, path: Path) -> Backend:
        backend = Backend(name)
        self._stack.push_async_callback(backend.stop)
        await backend.start_unix(path)
        return backend

    def write(self, name: str, text: str) -> Path:
        """Put a catalogue file in place at once."""
        beside = self.folder / f"{name}.new"
        beside.write_text(text)
        return beside.rename(self.catalogue / name)

    async def close(self) -> None:
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def mesh() -> AsyncIterator[Mesh]:
    """A mesh in a folder of its own (a short path: unix sockets are made in it)."""
    with tempfile.TemporaryDirectory(prefix="mesh-") as folder:
        made = Mesh(Path(folder))
        try:
            yield made
        finally:
            await made.close()


def service(hostname: str, endpoints: list[str], *, port: int = 80, protocol: str = "http") -> str:
    """A catalogue entry; an endpoint is `IP:PORT`, optionally followed by ` key=value…`."""
    lines = [
        f"- hostname: {hostname}",
        f"  ports: [{{name: main, number: {port}, protocol: {protocol}}}]",
        "  endpoints:" + (" []" if not endpoints else ""),
    ]
    for endpoint in endpoints:
        where, *extras = endpoint.split()
        ip, _, number = where.rpartition(":")
        more = "".join(f", {e.replace('=', ': ', 1)}" for e in extras)
        lines.append(f'  - {{address: "{ip}", ports: {{main: {number}}}{more}}}')
    return "\n".join(lines) + "\n"


def document(*services: str) -> str:
    return "services:\n" + "".join(services) if services else "services: []\n"
