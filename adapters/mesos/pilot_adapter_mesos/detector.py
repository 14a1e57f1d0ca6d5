"""Where the leading master is: asked of any of a list, or of the ZooKeeper that elects it.

Rule 1: of the nodes `json.info_…` the one with the lowest number leads; all others in the folder
are nobody's business.
Rule 2: only another leader ends a session. A ZooKeeper that is away ends none.

Source: mesos.apache.org, "High-Availability Mode".
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from pilot_adapter_mesos.config import MesosConfig
from pilot_core.adapter import Denied, Unavailable

_PREFIX = "json.info_"
_PATIENCE = 10.0
"""Seconds for a first answer, and until a session of ours is over; Mesos' own is as long."""


class Detector(Protocol):
    """Says who leads."""

    async def urls(self) -> Sequence[str]:
        """Masters to ask; any of them says who leads. Raises Unavailable."""

    async def has_changed(self) -> None:
        """Wait until another one leads than `urls` said."""


class Listed:
    """Named in the settings."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls

    async def urls(self) -> Sequence[str]:
        return self._urls

    async def has_changed(self) -> None:
        await asyncio.get_running_loop().create_future()


class Elected:
    """As a ZooKeeper has it. `scheme` is how masters are spoken to."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._leader = ""
        self._said = ""
        self._news = asyncio.Event()

    async def urls(self) -> Sequence[str]:
        try:
            async with asyncio.timeout(_PATIENCE):
                while not self._leader:
                    await self._wait()
        except TimeoutError:
            raise Unavailable("no master has been elected") from None
        self._said = self._leader
        return (self._said,)

    async def has_changed(self) -> None:
        while self._leader in ("", self._said):
            await self._wait()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def see(self, said: bytes | None) -> None:
        """The words of the node that leads; None where there is none."""
        self._leader = master_url(said, self._scheme) if said is not None else ""
        self._news.set()


@contextlib.asynccontextmanager
async def detector(config: MesosConfig) -> AsyncIterator[Detector]:
    """The one that the settings ask for. Raises Unavailable, Denied."""
    if not config.zookeeper:
        yield Listed(config.masters)
        return
    # The threads of its client end with the session: whatever they still say is heard by nobody.
    elected = Elected("https" if config.ca_file else "http")
    loop = asyncio.get_running_loop()

    def see(said: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(elected.see, said)

    client = _client(config)
    try:
        await asyncio.to_thread(_watch, client, urlsplit(config.zookeeper).path, see)
        yield elected
    finally:
        await asyncio.to_thread(_close, client)


def _client(config: MesosConfig) -> KazooClient:
    parts = urlsplit(config.zookeeper)
    auth = []
    if config.zookeeper_credentials_file is not None:
        auth.append(("digest", _secret(config.zookeeper_credentials_file)))
    tls: dict[str, Any] = {}
    if config.zookeeper_ca_file is not None:
        files = config.zookeeper_cert_file, config.zookeeper_key_file
        tls = {
            "use_ssl": True,
            "ca": str(config.zookeeper_ca_file),
            "certfile": str(files[0]) if files[0] else None,
            "keyfile": str(files[1]) if files[1] else None,
        }
    return KazooClient(hosts=parts.netloc, timeout=_PATIENCE, auth_data=auth, **tls)


def _secret(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise Unavailable(f"zookeeper_credentials_file {file}: {error.strerror}") from None


def _watch(client: KazooClient, path: str, see: Callable[[bytes | None], None]) -> None:
    """In a thread: be told of whoever leads, from now on."""

    def look(children: list[str] | None) -> None:
        names = [name for name in children or () if name.startswith(_PREFIX)]
        for name in sorted(names, key=_sequence):
            with contextlib.suppress(NoNodeError):
                see(client.get(f"{path}/{name}")[0])
                return
        see(None)

    try:
        client.start(timeout=_PATIENCE)
        if not client.exists(path):
            raise Unavailable(f"ZooKeeper has no {path}: has a master ever started there?")
        client.ChildrenWatch(path, look)
    except KazooTimeoutError as error:
        raise Unavailable(f"ZooKeeper cannot be reached: {error}") from None
    except KazooException as error:
        words = str(error) or type(error).__name__
        if type(error).__name__ in ("NoAuthError", "AuthFailedError"):
            raise Denied(f"ZooKeeper refuses {path}: {words}") from None
        raise Unavailable(f"ZooKeeper: {words}") from None


def _close(client: KazooClient) -> None:
    client.stop()
    client.close()


def _sequence(name: str) -> int:
    digits = name.removeprefix(_PREFIX)
    return int(digits) if digits.isdigit() else 1 << 62


class _Address(msgspec.Struct, frozen=True):
    ip: str = ""
    hostname: str = ""
    port: int = 0


class _MasterInfo(msgspec.Struct, frozen=True):
    ip: int = 0
    """In network order, read as a little-endian number."""
    port: int = 5050
    address: _Address = _Address()


def master_url(said: bytes, scheme: str) -> str:
    """The URL in a master's node: by address, since its hostname may mean nothing here. Empty where
    it makes no sense."""
    try:
        found = msgspec.json.decode(said, type=_MasterInfo)
    except msgspec.MsgspecError:
        return ""
    host = found.address.ip or found.address.hostname
    if not host:
        host = socket.inet_ntoa(struct.pack("<I", found.ip & 0xFFFFFFFF))
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{found.address.port or found.port}"
