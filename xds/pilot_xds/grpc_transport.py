"""The transport on grpc.aio: requests and responses pass through it as bytes.

Per stream there is a reader and a writer. The writer asks for the next response only when the last
one has been taken by the connection's flow control, so one message per stream is in memory; a
client that does not take it within `SEND_TIMEOUT` is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from grpc import aio

from pilot_xds import sockets
from pilot_xds.connection import Connection, End
from pilot_xds.fleet import Fleet
from pilot_xds.types import Variant
from pilot_xds.wire import Malformed, Reader

log = logging.getLogger(__name__)

SEND_TIMEOUT = 30.0
_LOOK_EVERY = 5.0
SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_METHODS = {
    "StreamAggregatedResources": Variant.SOTW,
    "DeltaAggregatedResources": Variant.DELTA,
}
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_concurrent_streams", 100),
    # A state-of-the-world request with 10,000 names is 400 KB, a stock Envoy's node 60 KB.
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.absolute_max_metadata_size", 16 << 10),
    ("grpc.server_handshake_timeout_ms", 5_000),
    # A dead peer is noticed within a minute; Envoys may ping as often as every ten seconds.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
    # Probing for bandwidth pings the client with nearly every message, which is a third of what a
    # push costs. What clients send is small: a window that holds their largest usual request does.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 << 10),
    ("grpc.so_reuseport", 0),
]
_CODES = {
    End.GONE: grpc.StatusCode.OK,
    End.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    End.DRAINING: grpc.StatusCode.UNAVAILABLE,
    End.DENIED: grpc.StatusCode.PERMISSION_DENIED,
}
_GONE = (grpc.RpcError, aio.UsageError, aio.BaseError)
"""The client went away, in one of the words that grpc has for it."""

Registrar = Callable[[aio.Server], Awaitable[None]]
"""Adds further services to the server before it starts."""


class GrpcTransport:
    """Serves ADS in both variants at one address; `transport.Transport`."""

    def __init__(self, fleet: Fleet, listen: str, *, services: Sequence[Registrar] = ()) -> None:
        self._fleet, self._listen, self._services = fleet, listen, services
        self._reader = Reader()
        self._streams: set[Connection] = set()
        self._server: aio.Server | None = None
        self._watch: asyncio.Task[None] | None = None
        self._is_draining = False
        self._port = 0

    @property
    def address(self) -> str:
        host, _, _ = self._listen.rpartition(":")
        return f"{host}:{self._port}"

    async def start(self) -> None:
        server = aio.server(options=OPTIONS)
        handlers = {
            name: grpc.stream_stream_rpc_method_handler(self._handler(variant))
            for name, variant in _METHODS.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        for register in self._services:
            await register(server)
        try:
            self._port = server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen}: {error}") from None
        if self._port == 0:
            raise OSError(f"cannot listen on {self._listen}")
        self._server = server
        await server.start()
        self._watch = asyncio.create_task(self._look_at_all())

    async def drain(self, seconds: float) -> None:
        self._is_draining = True
        loop = asyncio.get_running_loop()
        for stream in self._streams:
            loop.call_later(random.uniform(0, seconds), stream.close, End.DRAINING)
        await self._stop(seconds + 1)

    async def stop(self) -> None:
        await self._stop(0)

    async def _stop(self, grace: float) -> None:
        if self._server is not None:
            await self._server.stop(grace)
        if self._watch is not None:
            self._watch.cancel()

    async def _look_at_all(self) -> None:
        while True:
            await self._fleet.clock.sleep(_LOOK_EVERY)
            now = self._fleet.clock.monotonic()
            self._cut_off(now - SEND_TIMEOUT)
            for stream in self._streams:
                stream.remind(now)

    def _cut_off(self, latest: float) -> None:
        """End the connections of those who have not taken a response since then."""
        stuck = [s for s in self._streams if s.end is None and (s.writing_since or latest) < latest]
        if not stuck:
            return
        for stream in stuck:
            self._fleet.metrics.write_timeouts.inc()
            log.warning("a proxy does not read", extra={"peer": stream.peer, "node": stream.name})
            stream.close(End.GONE)
        # A call whose last message is still being sent cannot be ended: its socket can.
        sockets.cut_off(self._port, {stream.peer for stream in stuck})

    def _handler(self, variant: Variant) -> Callable[[Any, Any], Awaitable[None]]:
        async def handle(_requests: Any, context: Any) -> None:
            if self._is_draining:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "draining: try another server")
            connection = Connection(self._fleet, variant, self._reader, context.peer())
            self._streams.add(connection)
            try:
                async with asyncio.TaskGroup() as group:
                    reading = group.create_task(_read(connection, context, self._fleet))
                    await _write(connection, context)
                    reading.cancel()
            finally:
                self._streams.discard(connection)
                self._fleet.leave(connection)
            await _say_goodbye(connection, context)

        return handle


async def _read(connection: Connection, context: Any, fleet: Fleet) -> None:
    """Hear what the client says until it ends, which ends the connection."""
    try:
        while True:
            data = await context.read()
            if data is grpc.aio.EOF:  # type: ignore[attr-defined]
                # grpc-stubs does not know the mark of the end.
                break
            connection.receive(data)
    except Malformed as error:
        fleet.metrics.malformed.inc()
        log.warning("malformed request", extra={"peer": connection.peer, "error": str(error)})
        connection.close(End.MALFORMED, str(error))
    except _GONE as error:
        log.debug("a client went away", extra={"peer": connection.peer, "error": repr(error)})
    finally:
        connection.close(End.GONE)


async def _write(connection: Connection, context: Any) -> None:
    """Write what is owed until the connection ends."""
    try:
        while connection.end is None:
            response = connection.next()
            if response is None:
                await connection.work()
            else:
                await context.write(response.data)
    except _GONE:
        connection.close(End.GONE)


async def _say_goodbye(connection: Connection, context: Any) -> None:
    if connection.end is not None and connection.end is not End.GONE:
        await context.abort(_CODES[connection.end], connection.reason)
