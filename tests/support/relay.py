"""A relay on loopback between a client and a server, which breaks off where a test says.

async with Relay(server_port) as relay:
    relay.cut_after(1000, of=b"SUBSCRIBE")
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

_LOOPBACK = "127.0.0.1"


class Relay:
    """Passes bytes on, both ways; `async with`."""

    def __init__(self, target: int) -> None:
        self.cuts = 0
        """Connections that were broken off."""
        self._target, self._left, self._of = target, -1, b""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self.port}"

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, _LOOPBACK, 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A connection that has just been accepted has no task yet that would close it.
        for writer in tuple(self._writers):
            await self._close(writer)

    def cut_after(self, size: int, *, of: bytes = b"") -> None:
        """Pass on so many bytes of what the server says next to who has asked for that, and end
        that connection."""
        self._left, self._of = size, of

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await self._talk(reader, writer)
        finally:
            await self._close(writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(_LOOPBACK, self._target)
        self._writers.add(server_writer)
        asked = bytearray()
        asking = asyncio.create_task(_ask(reader, server_writer, asked))
        try:
            await self._answer(server_reader, writer, asked)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await self._close(server_writer)

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray
    ) -> None:
        while data := await reader.read(1 << 16):
            if self._left >= 0 and self._of in asked:
                if self._left < len(data):
                    writer.write(data[: self._left])
                    self._left, self.cuts = -1, self.cuts + 1
                    return
                self._left -= len(data)
            writer.write(data)
            await writer.drain()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytearray
) -> None:
    while data := await reader.read(1 << 16):
        asked += data
        writer.write(data)
        await writer.drain()
    writer.write_eof()
