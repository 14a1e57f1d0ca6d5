"""A gRPC server of ours on a real socket, and clients: gRPC's own, and one that says bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import hpack
from grpc import aio

from http2_talk import Frame, block, frame, parse, settings
from pilot_core.clock import Clock, SystemClock
from pilot_core.http2 import frames
from pilot_core.rpc.call import Method
from pilot_core.rpc.server import Server

PATH = "/some.Service/Method"
PATIENCE = 20.0


@contextlib.asynccontextmanager
async def serving(
    methods: Mapping[str, Method] | Method, *, clock: Clock | None = None, **more: Any
) -> AsyncIterator[Server]:
    """A server of these methods, or of one at `PATH`."""
    table = {PATH: methods} if isinstance(methods, Method) else methods
    server = Server("127.0.0.1:0", table, clock=clock or SystemClock(), **more)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def channel(server: Server, **options: Any) -> AsyncIterator[aio.Channel]:
    mine = {"grpc.use_local_subchannel_pool": 1, **options}
    async with aio.insecure_channel(server.address, options=list(mine.items())) as made:
        yield made


def message(data: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(data).to_bytes(4, "big") + data


class Wire:
    """A client that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._decoder = hpack.Decoder()
        self._heard = b""

    async def say(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))
        await self.writer.drain()

    async def open(self, stream: int, path: str = PATH, *more: tuple[str, str]) -> None:
        """A call whose request is still to come."""
        await self.say(
            frame(frames.HEADERS, frames.END_HEADERS, stream, block(fields(path, *more)))
        )

    async def hear(self, *kinds: int) -> Frame:
        """The next frame of one of these types."""
        async with asyncio.timeout(PATIENCE):
            while True:
                head = await self.reader.readexactly(frames.HEAD_SIZE)
                length = int.from_bytes(head[:3], "big")
                (found,) = parse(head + await self.reader.readexactly(length))
                if found.kind in kinds:
                    return found

    async def fields(self, stream: int) -> dict[str, str]:
        """The next header fields of a stream."""
        while True:
            heard = await self.hear(frames.HEADERS)
            said = self._decoder.decode(heard.payload, raw=True)
            if heard.stream == stream:
                return {name.decode(): value.decode() for name, value in said}

    async def is_closed(self) -> bool:
        """Wait for the server to close the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(1 << 16):
                    pass
            except ConnectionError:
                return True
            return True


def fields(path: str = PATH, *more: tuple[str, str]) -> list[tuple[str, str]]:
    said = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    return list((said | dict(more)).items())


@contextlib.asynccontextmanager
async def wire(address: str, *, greets: bool = True, **more: Any) -> AsyncIterator[Wire]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), **more)
    made = Wire(reader, writer)
    try:
        if greets:
            await made.say(frames.PREFACE, settings())
        yield made
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
