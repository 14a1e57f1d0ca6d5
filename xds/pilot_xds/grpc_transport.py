"""The transport on grpc.aio: requests and responses pass through it as bytes.

Per stream there is a reader and a writer. The writer asks for the next response only when the last
one has been taken by the connection's flow control, so one message per stream is in memory; a
client that does not take it within `SEND_TIMEOUT` is let go.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from grpc import aio

from pilot_xds.connection import Connection
from pilot_xds.fleet import Fleet
from pilot_xds.types import Variant
from pilot_xds.wire import Malformed, Reader

log = logging.getLogger(__name__)

SEND_TIMEOUT = 30.0
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_METHODS = {
    "StreamAggregatedResources": Variant.SOTW,
    "DeltaAggregatedResources": Variant.DELTA,
}
_OPTIONS: list[tuple[str, Any]] = [
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
    ("grpc.so_reuseport", 0),
]

Registrar = Callable[[aio.Server], Awaitable[None]]
"""Adds further services to the server before it starts."""


class GrpcTransport:
    """Serves ADS in both variants at one address; `transport.Transport`."""

    def __init__(self, fleet: Fleet, listen: str, *, services: Sequence[Registrar] = ()) -> None:
        self._fleet, self._listen, self._services = fleet, listen, services
        self._reader = Reader()
        self._streams: set[Connection] = set()
        self._server: aio.Server | None = None
        self._is_draining = False
        self._port = 0

    @property
    def address(self) -> str:
        host, _, _ = self._listen.rpartition(":")
        return f"{host}:{self._port}"

    async def start(self) -> None:
        server = aio.server(options=_OPTIONS)
        handlers = {
            name: grpc.stream_stream_rpc_method_handler(self._handler(variant))
            for name, variant in _METHODS.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
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

    async def drain(self, seconds: float) -> None:
        self._is_draining = True
        loop = asyncio.get_running_loop()
        for stream in self._streams:
            loop.call_later(random.uniform(0, seconds), stream.close)
        if self._server is not None:
            await self._server.stop(seconds + 1)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)

    def _handler(self, variant: Variant) -> Callable[[Any, Any], Awaitable[None]]:
        async def handle(_requests: Any, context: Any) -> None:
            if self._is_draining:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "draining: try another server")
            connection = Connection(self._fleet, variant, self._reader, context.peer())
            self._streams.add(connection)
            try:
                await _converse(connection, context, self._fleet)
            finally:
                self._streams.discard(connection)
                self._fleet.leave(connection)

        return handle


async def _converse(connection: Connection, context: Any, fleet: Fleet) -> None:
    """Read and write until one of them ends."""
    writer = asyncio.create_task(_write(connection, context, fleet))
    reader = asyncio.create_task(_read(connection, context))
    try:
        done, _ = await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
    finally:
        writer.cancel()
        reader.cancel()
        await asyncio.wait((writer, reader))
    for task in done:
        error = task.exception()
        if isinstance(error, Malformed):
            fleet.metrics.malformed.inc()
            log.warning("malformed request", extra={"peer": connection.peer, "error": str(error)})
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        elif isinstance(error, TimeoutError):
            fleet.metrics.write_timeouts.inc()
            log.warning("a proxy does not read", extra={"peer": connection.peer})
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the last response was not read")
        elif error is not None and not isinstance(error, _GONE):
            raise error


_GONE = (grpc.RpcError, aio.UsageError, aio.BaseError, asyncio.CancelledError)
"""The client went away, in one of the words that grpc has for it."""


async def _read(connection: Connection, context: Any) -> None:
    while True:
        data = await context.read()
        if data is grpc.aio.EOF:  # type: ignore[attr-defined]
            # grpc-stubs does not know the mark of the end.
            return
        connection.receive(data)


async def _write(connection: Connection, context: Any, fleet: Fleet) -> None:
    while not connection.is_closed:
        response = connection.next()
        if response is None:
            await connection.work()
            continue
        async with asyncio.timeout(SEND_TIMEOUT):
            await context.write(response.data)
