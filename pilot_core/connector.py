"""Connections to HTTP servers that are over when their session is: aiohttp's connector, closed for
certain.

A TLS connection that is closed politely stays open until the other side has said goodbye, for up to
half a minute, and nobody waits for that: what an event loop's end leaves behind is a socket that
nobody closes. Part of the public face for plugin authors:

    aiohttp.ClientSession(connector=Connector(ssl=trust))
"""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.connector import Connection

_TURNS = 100
"""Turns of the event loop in which a transport that has been aborted closes its socket; it takes
two."""


class Connector(aiohttp.TCPConnector):
    """When `close` has returned, every socket of it is closed. Takes what TCPConnector takes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._opened: WeakSet[asyncio.Transport] = WeakSet()

    async def connect(self, *request: Any, **options: Any) -> Connection:
        connection = await super().connect(*request, **options)
        if connection.transport is not None:
            self._opened.add(connection.transport)
        return connection

    async def close(self, **how: Any) -> None:
        await super().close(**how)
        for transport in self._opened:
            transport.abort()
        for _ in range(_TURNS):
            if not any(map(_has_socket, self._opened)):
                return
            await asyncio.sleep(0)


def _has_socket(transport: asyncio.Transport) -> bool:
    found = transport.get_extra_info("socket")
    return found is not None and found.fileno() >= 0
