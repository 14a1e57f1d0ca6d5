"""One connected proxy: its stream, who it is, and the cohort it belongs to.

A connection hears requests and hands out responses; it knows neither gRPC nor sockets.
"""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING

from pilot_core.model import Proxy
from pilot_xds import node
from pilot_xds.requests import Heard
from pilot_xds.snapshot import Snapshot
from pilot_xds.stream import Response, Stream
from pilot_xds.types import ResourceType, Variant
from pilot_xds.wire import Malformed, Reader

if TYPE_CHECKING:
    from pilot_xds.fleet import Cohort, Fleet


class End(enum.Enum):
    """Why a stream is over."""

    GONE = "the client has ended it, or went away"
    MALFORMED = "the client sent what is no request"
    DRAINING = "the server is about to stop"
    DENIED = "the client is not who it says"


class Connection:
    """Made by a transport for every stream; an `end` asks the transport to end it."""

    __slots__ = (
        "__weakref__",
        "_fleet",
        "_has_work",
        "_waiter",
        "changed_at",
        "cohort",
        "connected_since",
        "end",
        "identity",
        "peer",
        "proxy",
        "reason",
        "refused",
        "stream",
        "writing_since",
    )

    def __init__(
        self, fleet: Fleet, variant: Variant, reader: Reader, peer: str, *, identity: str = ""
    ) -> None:
        """`identity` is the SPIFFE id that the client has proved; empty where it had not to."""
        self.stream = Stream(variant, reader)
        self.proxy: Proxy | None = None
        self.cohort: Cohort | None = None
        self.peer = peer
        self.identity = identity
        self.connected_since = 0.0
        self.changed_at: float | None = None
        """When the content came up that the proxy does not have yet."""
        self.writing_since: float | None = None
        """When the response was handed out that is being written."""
        self.refused: frozenset[ResourceType] = frozenset()
        self.end: End | None = None
        self.reason = ""
        self._fleet = fleet
        self._has_work = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def name(self) -> str:
        """The id of its node; empty until it has said one."""
        return self.proxy.id if self.proxy else ""

    def give(self, snapshot: Snapshot, *, changed_at: float | None = None) -> None:
        """This is what the proxy is to have from now on."""
        self.stream.update(snapshot)
        if self.changed_at is None:
            self.changed_at = changed_at
        self.wake()

    def receive(self, data: bytes) -> Heard:
        """Take one request. Raises Malformed, and Impostor where its node is not the client's."""
        heard, said = self.stream.receive(data, self._fleet.now())
        if self.proxy is None:
            if said is None:
                raise Malformed("the first request of a stream says no node")
            said_to_be = node.read(said)
            self._fleet.admit(said_to_be, self.identity, self.peer)
            self.proxy = said_to_be
            self._fleet.join(self)
        self._fleet.heard(self, heard)
        if self.stream.has_work():
            self.wake()
        return heard

    def next(self) -> Response | None:
        """The next response to write, which counts as sent; the one before has been written."""
        now = self._fleet.now()
        response = self.stream.next(now)
        self.writing_since = None if response is None else now
        if response is not None:
            self._fleet.sent(response)
        return response

    def wake(self) -> None:
        """There may be something to write."""
        self._has_work = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def remind(self, now: float) -> None:
        """Wake the writer if something that was held back for a while is not any more."""
        if self.stream.retry_at is not None and now >= self.stream.retry_at:
            self.wake()

    def close(self, end: End, reason: str = "") -> None:
        """End the stream as soon as its writer looks; the first reason counts."""
        if self.end is None:
            self.end, self.reason = end, reason or end.value
        self.wake()

    async def work(self) -> None:
        """Return when there may be something to write. For one writer."""
        # A bare future: with thousands of streams, what a push costs is mostly this wait.
        while not self._has_work:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._has_work = False
