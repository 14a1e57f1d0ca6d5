"""The port for mutual TLS: ADS for proxies that prove who they are, and the certificate services.

Rule 1: whoever connects may come without a certificate, to ask for one. Configuration is given to
those only who have proved who they are, and each proof is looked at anew for every stream.
Rule 2: a refusal carries an opaque sentence; the reason is in the log, the audit log and problems.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

from grpclib import GRPCError, Status
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import StreamTerminatedError
from grpclib.server import Server, Stream

from pilot_certs.caller import Authenticator, Call
from pilot_certs.exchange import Method, Methods, bearer
from pilot_certs.refusal import Refused, Unauthenticated
from pilot_certs.serving import ServerCertificate
from pilot_core.config import address
from pilot_xds.claims import Impostor
from pilot_xds.connection import Connection, End
from pilot_xds.fleet import Fleet
from pilot_xds.types import Variant
from pilot_xds.wire import Malformed, Reader

log = logging.getLogger(__name__)

_ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
_VARIANTS = {"StreamAggregatedResources": Variant.SOTW, "DeltaAggregatedResources": Variant.DELTA}
_LIMITS = Configuration(
    http2_connection_window_size=1 << 20,
    http2_stream_window_size=256 << 10,
)
_CODES = {
    End.MALFORMED: Status.INVALID_ARGUMENT,
    End.DRAINING: Status.UNAVAILABLE,
    End.DENIED: Status.PERMISSION_DENIED,
}
_GONE = (StreamTerminatedError, ConnectionError)
_Stream = Stream[bytes, bytes]


class _Bytes(CodecBase):
    """Messages pass as bytes."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


class SecureListener:
    """One TLS port. `methods` are the certificate services; ADS is its own."""

    def __init__(
        self,
        fleet: Fleet,
        listen: str,
        *,
        methods: Methods,
        proofs: tuple[Authenticator, ...],
        certificate: ServerCertificate,
    ) -> None:
        """`proofs` are what a proxy may prove itself with on ADS; they must not be used up."""
        self._fleet, self._listen, self._methods = fleet, listen, methods
        self._proofs, self._certificate = proofs, certificate
        self._reader = Reader()
        self._streams: set[Connection] = set()
        self._transports: WeakSet[Any] = WeakSet()
        self._server: Server | None = None
        self._sockets: tuple[Any, ...] = ()
        self._is_draining = False

    @property
    def address(self) -> str:
        """With the real port; known once it listens."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises OSError, NotReady."""
        first = self._certificate.context()
        # The context of a connection is chosen when its handshake begins: so it is always the
        # current one, and nobody has to be cut off for a new certificate.
        first.sni_callback = self._choose
        host, port = address.split(self._listen)
        self._server = Server([self], codec=_Bytes(), config=_LIMITS)
        await self._server.start(host, port, ssl=first)
        listening: Any = self._server._server
        self._sockets = tuple(listening.sockets)

    def _choose(self, handshake: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        try:
            handshake.context = self._certificate.context()
        except Refused as refused:
            log.error("no fresh certificate", extra={"error": str(refused)})

    async def drain(self, seconds: float) -> None:
        """End the streams spread over that time, then the rest."""
        self._is_draining = True
        loop = asyncio.get_running_loop()
        for stream in self._streams:
            loop.call_later(random.uniform(0, seconds), stream.close, End.DRAINING)
        if self._streams:
            await asyncio.sleep(seconds)
        await self.stop()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for transport in list(self._transports):
                transport.abort()
            await self._server.wait_closed()

    def __mapping__(self) -> dict[str, Handler]:
        ads = {_ADS + name: self._ads(variant) for name, variant in _VARIANTS.items()}
        return ads | {path: self._service(method) for path, method in self._methods.items()}

    def _service(self, method: Method) -> Handler:
        async def serve(stream: _Stream) -> None:
            with _statuses():
                await method(_Exchange(stream, self._call(stream)))

        return _handler(serve)

    def _ads(self, variant: Variant) -> Handler:
        async def serve(stream: _Stream) -> None:
            if self._is_draining:
                raise GRPCError(Status.UNAVAILABLE, "draining: try another server")
            call = self._call(stream)
            with _statuses():
                identity = await self._proved(call)
            connection = Connection(
                self._fleet, variant, self._reader, call.peer, identity=identity
            )
            await self._carry(stream, connection)

        return _handler(serve)

    async def _proved(self, call: Call) -> str:
        """The identity of who calls. Raises Unauthenticated."""
        for proof in self._proofs:
            caller = await proof.authenticate(call)
            if caller is not None and caller.identities:
                return str(caller.identities[0])
        raise Unauthenticated("no-credentials", "no certificate, and no token that proves anything")

    async def _carry(self, stream: _Stream, connection: Connection) -> None:
        self._streams.add(connection)
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(stream, connection))
                await _write(stream, connection)
                reading.cancel()
        finally:
            self._streams.discard(connection)
            self._fleet.leave(connection)
        if connection.end in _CODES:
            raise GRPCError(_CODES[connection.end], connection.reason)

    async def _read(self, stream: _Stream, connection: Connection) -> None:
        try:
            while (data := await stream.recv_message()) is not None:
                connection.receive(data)
        except Malformed as error:
            self._fleet.metrics.malformed.inc()
            log.warning("malformed request", extra={"peer": connection.peer, "error": str(error)})
            connection.close(End.MALFORMED, str(error))
        except Impostor:
            connection.close(End.DENIED)
        except _GONE:
            log.debug("a client went away", extra={"peer": connection.peer})
        finally:
            connection.close(End.GONE)

    def _call(self, stream: _Stream) -> Call:
        # Not part of grpclib's public face; setup.cfg keeps to versions that have it.
        transport = stream.peer._transport
        self._transports.add(transport)
        shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        said = stream.metadata.get("authorization", "") if stream.metadata else ""
        peer = stream.peer.addr()
        return Call(
            peer=peer[0] if peer else "",
            token=bearer(said if isinstance(said, str) else ""),
            certificates=(ssl.DER_cert_to_PEM_cert(shown),) if shown else (),
        )


class _Exchange:
    """`exchange.Exchange` over one of grpclib's streams."""

    def __init__(self, stream: _Stream, call: Call) -> None:
        self._stream, self.call = stream, call

    async def receive(self) -> bytes | None:
        return await self._stream.recv_message()

    async def send(self, data: bytes) -> None:
        try:
            await self._stream.send_message(data)
        except StreamTerminatedError as error:
            raise ConnectionError(str(error)) from None


async def _write(stream: _Stream, connection: Connection) -> None:
    """Write what is owed until the connection ends."""
    try:
        while connection.end is None:
            response = connection.next()
            if response is None:
                await connection.work()
            else:
                await stream.send_message(response.data)
    except _GONE:
        connection.close(End.GONE)


@contextlib.contextmanager
def _statuses() -> Any:
    try:
        yield
    except Refused as refused:
        log.info("refused", extra={"reason": refused.reason, "error": str(refused)})
        raise GRPCError(Status(refused.code), refused.opaque) from None
    except _GONE:
        raise GRPCError(Status.CANCELLED) from None


def _handler(serve: Callable[[_Stream], Awaitable[None]]) -> Handler:
    # Whoever sends one message more or less than the method has is told so by the method.
    return Handler(serve, Cardinality.STREAM_STREAM, bytes, bytes)
