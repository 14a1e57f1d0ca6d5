"""Aggregated discovery (ADS) in both variants: streams of gRPC, each with its connection.

A stream is served without a task of its own: it is called when something has come, and when there
may be something to write. At most one message per stream is being written; what comes up meanwhile
is put together when that has been taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from pilot_core.rpc.call import Call, Method
from pilot_core.rpc.guard import guarded
from pilot_core.rpc.status import Abort, Code
from pilot_xds.claims import Impostor
from pilot_xds.connection import Connection
from pilot_xds.fleet import Fleet
from pilot_xds.types import Variant
from pilot_xds.wire import Malformed, Reader

log = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_METHODS = {
    f"/{SERVICE}/StreamAggregatedResources": Variant.SOTW,
    f"/{SERVICE}/DeltaAggregatedResources": Variant.DELTA,
}
Prove = Callable[[Call], Awaitable[str]]
"""The SPIFFE id that the client of a call proves to have. Raises Abort."""
_PER_TURN = 200
"""Streams that are written to before the event loop looks at what has come meanwhile."""


class Ads:
    """All ADS streams of one server."""

    def __init__(self, fleet: Fleet, prove: Prove | None = None) -> None:
        self.fleet = fleet
        self._prove = prove
        self.reader = Reader()
        self._streams: set[AdsStream] = set()
        self._waiting: deque[AdsStream] = deque()

    def methods(self) -> dict[str, Method]:
        return {path: self._method(variant) for path, variant in _METHODS.items()}

    def _method(self, variant: Variant) -> Method:
        if self._prove is None:
            return Method(partial(self._open, variant))
        return guarded(self._prove, partial(self._open, variant))

    def remind(self, now: float) -> None:
        """Time has passed: something that was held back may not be any more."""
        for stream in self._streams:
            stream.connection.remind(now)

    def write_soon(self, stream: AdsStream) -> None:
        """There may be something to write on this one."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append(stream)

    def leave(self, stream: AdsStream) -> None:
        self._streams.discard(stream)
        self.fleet.leave(stream.connection)

    def _open(self, variant: Variant, call: Call, identity: str = "") -> AdsStream:
        stream = AdsStream(self, variant, call, identity)
        self._streams.add(stream)
        return stream

    def _write(self) -> None:
        waiting = self._waiting
        for _ in range(min(len(waiting), _PER_TURN)):
            waiting.popleft().write()
        if waiting:
            asyncio.get_running_loop().call_soon(self._write)


_DENIED = "the client is not who it says"


class AdsStream:
    """One stream; `rpc.call.Receiver`."""

    __slots__ = ("_ads", "_call", "connection")

    is_full = False
    """What comes is dealt with at once."""

    def __init__(self, ads: Ads, variant: Variant, call: Call, identity: str) -> None:
        self._ads, self._call = ads, call
        self.connection = Connection(
            ads.fleet,
            variant,
            ads.reader,
            call.peer.address,
            identity=identity,
            on_work=self._write_soon,
        )

    def message(self, data: bytes) -> None:
        try:
            self.connection.receive(data)
        except Malformed as error:
            self._ads.fleet.metrics.malformed.inc()
            said = {"peer": self.connection.peer, "error": str(error)}
            log.warning("malformed request", extra=said)
            raise Abort(Code.INVALID_ARGUMENT, str(error)) from None
        except Impostor:
            # Who it really is stands in problems: it is nothing for a stranger.
            raise Abort(Code.PERMISSION_DENIED, _DENIED) from None

    def ended(self) -> None:
        """A client that says nothing more takes nothing more: it could not acknowledge it."""
        self._call.finish()
        self._ads.leave(self)

    def ready(self) -> None:
        self.write()

    def lost(self, words: str) -> None:
        self._ads.leave(self)

    def write(self) -> None:
        """Write what is owed, as far as the client takes it."""
        call, connection = self._call, self.connection
        if call.is_over:
            return
        if connection.is_denied:
            call.fail(Code.PERMISSION_DENIED, _DENIED)
            return
        try:
            while call.is_ready() and (response := connection.next()) is not None:
                call.send(response.body, response.tail)
                if call.is_ready() and connection.is_done():
                    break
        except Exception:
            log.exception("a response failed", extra={"peer": connection.peer})
            call.fail(Code.INTERNAL, "the server has failed")
            return
        call.flush()

    def _write_soon(self) -> None:
        self._ads.write_soon(self)
