"""A plain HTTP/2 server on our state machine: it answers every request, when that has ended, with
a few bytes. What checks HTTP/2 servers in general wants to be answered so, and gRPC never does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from pilot_core.http2.connection import ServerConnection
from pilot_core.http2.events import Data, Over, Request, WindowOpened
from pilot_core.http2.fields import STATUS_200
from pilot_core.http2.limits import Limits

_BODY = b"hello"


class _Echo(asyncio.Protocol):
    def __init__(self) -> None:
        self._http2 = ServerConnection(Limits(), 0.0)
        self._transport: asyncio.Transport | None = None
        self._owed: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.writelines(self._http2.take())

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        events = self._http2.receive(data, asyncio.get_running_loop().time())
        for event in events:
            if isinstance(event, Data):
                self._http2.credit(event.stream, event.size)
            if isinstance(event, Data | Request) and event.is_end:
                self._http2.send_headers(event.stream, STATUS_200)
                self._owed[event.stream] = _BODY
            if isinstance(event, WindowOpened | Data | Request):
                self._answer()
        self._transport.writelines(self._http2.take())
        if events and isinstance(events[-1], Over):
            self._transport.close()

    def _answer(self) -> None:
        for stream, left in list(self._owed.items()):
            part = left[: self._http2.room(stream)]
            if part:
                self._http2.send_data(stream, [part], len(part))
            self._owed[stream] = left[len(part) :]
            if not self._owed[stream]:
                del self._owed[stream]
                self._http2.finish(stream, b"")


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """Its address."""
    server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
