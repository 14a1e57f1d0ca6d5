"""The agent's socket: Envoy's SDS and the SPIFFE Workload API, for whoever the kernel says it is.

grpclib serves it, because it lets us see the connection: gRPC's own library does not say who is
at the other end of a Unix socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from google.protobuf.message import DecodeError
from grpclib import GRPCError, Status
from grpclib.const import Cardinality, Handler
from grpclib.server import Server, Stream

from pilot_certs.agent import peers, secrets, workload_api
from pilot_certs.agent.codec import Bytes
from pilot_certs.agent.held import Held, digest
from pilot_certs.agent.peers import Entry, Peer
from pilot_certs.agent.subscription import Delta, Sotw, Subscription
from pilot_certs.messages import JwtRequest, ValidateRequest
from pilot_certs.refusal import InvalidRequest, NotReady, Refused
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import PilotError

log = logging.getLogger(__name__)

_SDS = "/envoy.service.secret.v3.SecretDiscoveryService/"
_SPIFFE = "/SpiffeWorkloadAPI/"
_Serve = Callable[["_Stream"], Coroutine[Any, Any, None]]
_Stream = Stream[bytes, bytes]
Mint = Callable[[SpiffeId, tuple[str, ...]], Awaitable[str]]


class AgentServer:
    """One Unix socket for all workloads of this machine."""

    def __init__(
        self, path: Path, held: Held, entries: Sequence[Entry], *, mint: Mint | None = None
    ) -> None:
        """`mint` makes tokens; without it there are none."""
        self._mint = mint
        self._path, self._held = path, held
        self.entries = tuple(entries)
        """Who may have what."""
        self._said = asyncio.Event()
        self._streams: dict[Subscription, Peer] = {}
        self.refusals = 0
        """Responses that proxies have refused."""
        self._server: Server | None = None
        self._transports: WeakSet[Any] = WeakSet()

    async def start(self) -> None:
        """Listen, in the place of whoever has left a socket there. Raises OSError."""
        new = self._path.with_name(self._path.name + ".new")
        new.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listening.bind(str(new))
            # Everybody may connect: who he is decides what he gets.
            os.chmod(new, 0o666)
            self._server = Server([self], codec=Bytes())
            await self._server.start(sock=listening)
            new.rename(self._path)
        except OSError:
            listening.close()
            new.unlink(missing_ok=True)
            raise

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            # Clients would wait for ever on streams that end without a word: they have to see the
            # connection go, and connect to whoever listens next.
            for transport in list(self._transports):
                transport.abort()
            await self._server.wait_closed()
            # Aborted connections are closed in the loop's next turn.
            await asyncio.sleep(0)
            self._path.unlink(missing_ok=True)

    def lacking(self, roots: tuple[str, ...]) -> tuple[str, ...]:
        """Whose open streams have asked for the roots, and not acknowledged these."""
        version = digest(*roots)
        return tuple(
            f"pid {peer.pid}"
            for subscription, peer in self._streams.items()
            if subscription.wants(secrets.ROOTS)
            and subscription.acked.get(secrets.ROOTS) != version
        )

    def outdated(self) -> bool:
        """Is there an open stream that has not acknowledged the certificates that are held now?"""
        return any(
            self._is_outdated(subscription, peer) for subscription, peer in self._streams.items()
        )

    def _is_outdated(self, subscription: Subscription, peer: Peer) -> bool:
        allowed = self._allowed(peer, subscription)
        try:
            return bool(subscription.unacknowledged(lambda n: secrets.find(n, allowed, self._held)))
        except Refused:
            return False

    def _allowed(self, peer: Peer, subscription: Subscription) -> tuple[SpiffeId, ...]:
        return peers.preferring(peers.allowed(peer, self.entries), subscription.account)

    def heard(self) -> Coroutine[Any, Any, Any]:
        """To be awaited until a proxy says something after this call, awaited already or not."""
        return self._said.wait()

    def __mapping__(self) -> dict[str, Handler]:
        both, one = Cardinality.STREAM_STREAM, Cardinality.UNARY_STREAM
        return {
            f"{_SDS}StreamSecrets": _handler(self._sotw, both),
            f"{_SDS}DeltaSecrets": _handler(self._delta, both),
            f"{_SDS}FetchSecrets": _handler(self._fetch, Cardinality.UNARY_UNARY),
            f"{_SPIFFE}FetchX509SVID": _handler(self._svids, one),
            f"{_SPIFFE}FetchX509Bundles": _handler(self._bundles, one),
            f"{_SPIFFE}FetchJWTSVID": _handler(self._jwt, Cardinality.UNARY_UNARY),
            f"{_SPIFFE}FetchJWTBundles": _handler(self._jwt_bundles, one),
            f"{_SPIFFE}ValidateJWTSVID": _handler(self._validate, Cardinality.UNARY_UNARY),
        }

    async def _sotw(self, stream: _Stream) -> None:
        await self._subscribed(stream, Sotw())

    async def _delta(self, stream: _Stream) -> None:
        await self._subscribed(stream, Delta())

    async def _subscribed(self, stream: _Stream, variant: Sotw | Delta) -> None:
        peer, subscription, heard = self._peer(stream), Subscription(), asyncio.Event()
        self._streams[subscription] = peer
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(stream, variant, subscription, heard))
                writing = group.create_task(self._write(stream, variant, subscription, heard))
                await reading
                writing.cancel()
                # Who asks, and says that he has said everything, still wants an answer.
                await self._push(stream, variant, subscription)
        except BaseExceptionGroup as failed:
            # grpclib knows its own errors only when they come alone.
            raise failed.exceptions[0] from None
        finally:
            del self._streams[subscription]

    async def _read(
        self, stream: _Stream, variant: Sotw | Delta, into: Subscription, heard: asyncio.Event
    ) -> None:
        while (data := await stream.recv_message()) is not None:
            before = into.error
            try:
                variant.receive(into, _decoded(variant.Request, data))
            except Refused as refused:
                raise _error(refused) from None
            if into.error and into.error != before:
                self.refusals += 1
                log.error("a secret was refused", extra={"error": into.error})
            heard.set()
            self._said.set()
            self._said = asyncio.Event()

    async def _write(
        self, stream: _Stream, variant: Sotw | Delta, of: Subscription, heard: asyncio.Event
    ) -> None:
        while True:
            change = asyncio.ensure_future(self._held.change())
            heard.clear()
            try:
                await self._push(stream, variant, of)
                await _first(change, asyncio.ensure_future(heard.wait()))
            finally:
                change.cancel()

    async def _push(self, stream: _Stream, variant: Sotw | Delta, of: Subscription) -> None:
        """Send what is owed."""
        allowed = self._allowed(self._peer(stream), of)
        try:
            found = of.owed(lambda name: secrets.find(name, allowed, self._held))
        except Refused as refused:
            raise _error(refused) from None
        if found:
            await stream.send_message(variant.response(found, of.sending(found)))

    async def _fetch(self, stream: _Stream) -> None:
        """One answer, once everything is there."""
        allowed = peers.allowed(self._peer(stream), self.entries)
        data = await stream.recv_message()
        subscription = Subscription()
        try:
            subscription.sotw(_decoded(Sotw.Request, data or b""))
            allowed = peers.preferring(allowed, subscription.account)
            found = subscription.owed(lambda name: secrets.find(name, allowed, self._held))
        except Refused as refused:
            raise _error(refused) from None
        await stream.send_message(Sotw.response(found, subscription.sending(found)))

    async def _svids(self, stream: _Stream) -> None:
        allowed = self._workload(stream)
        await self._follow(stream, lambda: workload_api.svids(allowed, self._held))

    async def _bundles(self, stream: _Stream) -> None:
        self._workload(stream)
        await self._follow(stream, lambda: workload_api.bundles(self._held))

    async def _jwt(self, stream: _Stream) -> None:
        allowed = self._workload(stream)
        try:
            asked = _decoded(JwtRequest, await stream.recv_message() or b"")
            names = workload_api.wanted(asked.spiffe_id, allowed)
            if self._mint is None:
                raise NotReady("jwt", "this agent has no tokens")
            made = [(name, await self._mint(name, tuple(asked.audience))) for name in names]
        except Refused as refused:
            raise _error(refused) from None
        except PilotError as error:
            log.warning("no token", extra={"error": str(error)})
            raise GRPCError(Status.UNAVAILABLE, "no token can be had now") from None
        await stream.send_message(workload_api.tokens(made))

    async def _jwt_bundles(self, stream: _Stream) -> None:
        self._workload(stream)
        await self._follow(stream, lambda: workload_api.jwt_bundles(self._held))

    async def _validate(self, stream: _Stream) -> None:
        self._workload(stream)
        try:
            asked = _decoded(ValidateRequest, await stream.recv_message() or b"")
            answer = workload_api.validated(asked.svid, asked.audience, self._held, time.time())
        except Refused as refused:
            raise _error(refused) from None
        await stream.send_message(answer)

    def _workload(self, stream: _Stream) -> tuple[Any, ...]:
        allowed = peers.allowed(self._peer(stream), self.entries)
        said = stream.metadata.get(workload_api.HEADER) if stream.metadata else None
        if said != workload_api.VALUE:
            raise GRPCError(Status.INVALID_ARGUMENT, "security header missing from request")
        if not allowed:
            raise GRPCError(Status.PERMISSION_DENIED, "no identity issued")
        return allowed

    def _peer(self, stream: _Stream) -> Peer:
        # The transport is not part of grpclib's public face; setup.cfg keeps to versions that
        # have it.
        transport = stream.peer._transport
        self._transports.add(transport)
        return peers.of(transport.get_extra_info("socket"))

    async def _follow(self, stream: _Stream, look: Callable[[], bytes | None]) -> None:
        """What `look` says, now and whenever it says something else."""
        await stream.recv_message()
        last = None
        while True:
            change = asyncio.ensure_future(self._held.change())
            now = look()
            if now is not None and now != last:
                last = now
                await stream.send_message(now)
            await _first(change)


async def _first(*waits: asyncio.Future[Any]) -> None:
    """Until one of them is there; the others are given up."""
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _handler(serve: _Serve, cardinality: Cardinality) -> Handler:
    return Handler(serve, cardinality, bytes, bytes)


def _decoded(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidRequest("message", str(error)) from None


def _error(refused: Refused) -> GRPCError:
    log.warning("refused", extra={"reason": refused.reason, "error": str(refused)})
    return GRPCError(Status(refused.code), refused.opaque)
