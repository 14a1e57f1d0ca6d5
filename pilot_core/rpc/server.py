"""A listening socket, and the sessions that come of it."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections import Counter
from collections.abc import Callable, Mapping

from pilot_core.clock import Clock
from pilot_core.rpc.call import Method
from pilot_core.rpc.limits import Cut, ServerLimits
from pilot_core.rpc.session import Session
from pilot_core.rpc.tls import ContextSource, TlsLayer, harden

log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0
_BACKLOG = 4_096
"""A whole fleet may come back at once."""


def _nothing(_: object) -> None:
    """Nobody wants to know."""


class Server:
    """Serves methods, by their paths, at one address: `127.0.0.1:15010`, `[::1]:0`.

    `tls` says which context a connection that is being opened gets; without it there is no TLS.
    `on_look` is called every second with the time. `on_cut` is told of connections that are refused
    or cut off, and why.
    """

    def __init__(
        self,
        listen: str,
        methods: Mapping[str, Method],
        *,
        clock: Clock,
        tls: ContextSource | None = None,
        limits: ServerLimits | None = None,
        on_look: Callable[[float], None] = _nothing,
        on_cut: Callable[[Cut], None] = _nothing,
    ) -> None:
        self.methods, self.tls, self.note_cut = methods, tls, on_cut
        self.limits = limits or ServerLimits()
        self.now = clock.monotonic
        self.is_draining = False
        self._listen, self._clock, self._on_look = listen, clock, on_look
        self._sessions: set[Session] = set()
        self._by_host: Counter[str] = Counter()
        self._context: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._look: asyncio.Task[None] | None = None
        self._port = 0
        self._is_empty = asyncio.Event()

    @property
    def address(self) -> str:
        """Where it listens, with the real port."""
        host, _, _ = self._listen.rpartition(":")
        return f"{host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises OSError where the address cannot be had."""
        host, _, port = self._listen.rpartition(":")
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Session(self), host.strip("[]"), int(port), backlog=_BACKLOG
            )
        except OSError as error:
            raise OSError(f"cannot listen on {self._listen}: {error.strerror or error}") from None
        self._port = self._server.sockets[0].getsockname()[1]
        self._look = asyncio.create_task(self._look_at_all())

    async def drain(self, seconds: float) -> None:
        """Accept nobody new, and end the open connections spread over that time, so that clients do
        not all come back to another server at once."""
        self.is_draining = True
        self._close_socket()
        loop = asyncio.get_running_loop()
        for session in self._sessions:
            loop.call_later(
                random.uniform(0, seconds), session.turn_away, "the server is about to stop"
            )
        try:
            async with asyncio.timeout(seconds + self.limits.goodbye + 1):
                await self._empty()
        except TimeoutError:
            log.info("clients were cut off", extra={"sessions": len(self._sessions)})
        await self.stop()

    async def stop(self) -> None:
        """End what is left."""
        self.is_draining = True
        self._close_socket()
        if self._look is not None:
            self._look.cancel()
        for session in tuple(self._sessions):
            session.abort()
        await self._empty()

    # For sessions

    def admit(self, session: Session) -> bool:
        """Is there room for this client? Counts it."""
        limit = self.limits.connections
        its_own = self._by_host[session.host]
        if len(self._sessions) >= limit or its_own >= limit * self.limits.share_of_a_host:
            # The cure is a higher limit of open files (ulimit -n, LimitNOFILE).
            said = {"host": session.host, "its": its_own, "limit": limit}
            log.warning("too many connections", extra=said)
            self.note_cut(Cut.TOO_MANY)
            return False
        self._sessions.add(session)
        self._by_host[session.host] += 1
        return True

    def leave(self, session: Session) -> None:
        """A connection is closed."""
        if session not in self._sessions:
            return
        self._sessions.discard(session)
        self._by_host[session.host] -= 1
        if not self._by_host[session.host]:
            del self._by_host[session.host]
        if not self._sessions:
            self._is_empty.set()

    def tls_layer(self) -> TlsLayer | None:
        """For a new connection; None where there is no TLS. Raises whatever `tls` does."""
        if self.tls is None:
            return None
        current = self.tls()
        if current is not self._context:
            harden(current)
            self._context = current
        return TlsLayer(current)

    def _close_socket(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _empty(self) -> None:
        while self._sessions:
            self._is_empty.clear()
            await self._is_empty.wait()

    async def _look_at_all(self) -> None:
        while True:
            await self._clock.sleep(_LOOK_EVERY)
            now = self.now()
            for session in tuple(self._sessions):
                session.look(now)
            self._on_look(now)
