"""One connected proxy: its stream, who it is, and the cohort it belongs to.

A connection hears requests and hands out responses; it knows neither gRPC nor sockets.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pilot_core.model import Proxy
from pilot_xds import node
from pilot_xds.requests import Heard
from pilot_xds.stream import Response, Stream
from pilot_xds.types import Variant
from pilot_xds.wire import Malformed, Reader

if TYPE_CHECKING:
    from pilot_xds.fleet import Cohort, Fleet


class Connection:
    """Made by a transport for every stream; `closed` asks the transport to end it."""

    __slots__ = (
        "__weakref__",
        "_fleet",
        "_work",
        "changed_at",
        "cohort",
        "connected_since",
        "is_closed",
        "peer",
        "proxy",
        "stream",
    )

    def __init__(self, fleet: Fleet, variant: Variant, reader: Reader, peer: str) -> None:
        self.stream = Stream(variant, reader)
        self.proxy: Proxy | None = None
        self.cohort: Cohort | None = None
        self.peer = peer
        self.connected_since = 0.0
        self.changed_at = 0.0
        """When the content that the proxy does not have yet came up; 0: it has everything."""
        self.is_closed = False
        self._fleet = fleet
        self._work = asyncio.Event()

    def receive(self, data: bytes) -> Heard:
        """Take one request. Raises Malformed."""
        heard, said = self.stream.receive(data, self._fleet.now())
        if self.proxy is None:
            if said is None:
                raise Malformed("the first request of a stream says no node")
            self.proxy = node.read(said)
            self._fleet.join(self)
        self._fleet.heard(self, heard)
        if self.stream.has_work():
            self._work.set()
        return heard

    def next(self) -> Response | None:
        """The next response to write; it counts as sent."""
        response = self.stream.next(self._fleet.now())
        if response is not None:
            self._fleet.sent(response)
        return response

    def wake(self) -> None:
        """There may be something to write."""
        self._work.set()

    def close(self) -> None:
        """End the stream, as soon as its writer looks."""
        self.is_closed = True
        self._work.set()

    async def work(self) -> None:
        """Return when there may be something to write."""
        await self._work.wait()
        self._work.clear()
