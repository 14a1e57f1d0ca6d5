"""Methods served by coroutines: for everything that is not asked a thousand times a second.

    async def handler(call: Dialogue) -> None:
        while (request := await call.receive()) is not None:
            await call.send(answer(request))

Returning ends the call well; `Abort` ends it with a code and words. When the client goes, the
coroutine is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from pilot_core.rpc.call import Call, Method, Peer
from pilot_core.rpc.status import Abort, Code

log = logging.getLogger(__name__)

_FULL = 64 << 10
"""Bytes of messages that a handler has not taken, beyond which the client may send no more."""
_UNARY_WITHIN = 60.0
"""Seconds for the request of a unary call to come."""
_tasks: set[asyncio.Task[None]] = set()
"""Handlers at work: the event loop itself would forget them."""


class Dialogue:
    """A call as its handler sees it, and a `call.Receiver`."""

    __slots__ = ("_call", "_is_ended", "_messages", "_size", "_task", "_waiters")

    def __init__(self, call: Call, handler: Callable[[Dialogue], Awaitable[None]]) -> None:
        self._call = call
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._is_ended = False
        self._waiters: list[asyncio.Future[None]] = []
        self._task = asyncio.create_task(self._run(handler))
        _tasks.add(self._task)
        self._task.add_done_callback(_tasks.discard)

    @property
    def path(self) -> str:
        return self._call.path

    @property
    def peer(self) -> Peer:
        return self._call.peer

    @property
    def metadata(self) -> dict[str, str]:
        """What the client has sent along, names in lower case."""
        return self._call.metadata

    async def receive(self) -> bytes | None:
        """The next message; None if the client says nothing more."""
        while not self._messages:
            if self._is_ended:
                return None
            await self._wait()
        was_full = self.is_full
        message = self._messages.popleft()
        self._size -= len(message)
        if was_full and not self.is_full:
            self._call.relieve()
        return message

    async def send(self, message: bytes) -> None:
        """Send one, and return when it has been taken."""
        while not self._call.is_ready():
            await self._wait()
        self._call.send(message)
        self._call.flush()
        while self._call.writing_since is not None:
            await self._wait()

    # For the call

    @property
    def is_full(self) -> bool:
        return self._size > _FULL

    def message(self, data: bytes) -> None:
        self._messages.append(data)
        self._size += len(data)
        self._wake()

    def ended(self) -> None:
        self._is_ended = True
        self._wake()

    def ready(self) -> None:
        self._wake()

    def lost(self, words: str) -> None:
        self._task.cancel()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)

    async def _run(self, handler: Callable[[Dialogue], Awaitable[None]]) -> None:
        try:
            await handler(self)
        except Abort as abort:
            self._call.finish(abort.code, str(abort))
        except Exception:
            log.exception("a call failed", extra={"path": self.path})
            self._call.finish(Code.INTERNAL, "the server has failed")
        else:
            self._call.finish()


Stream = Callable[[Dialogue], Awaitable[None]]
Unary = Callable[[bytes, Dialogue], Awaitable[bytes]]


def stream(handler: Stream, **options: int) -> Method:
    """A method of which either side may say any number of messages. `options` are those of
    `Method`."""
    return Method(lambda call: Dialogue(call, handler), **options)


def unary(handler: Unary, **options: int) -> Method:
    """A method with one request and one response. `options` are those of `Method`."""

    async def serve(call: Dialogue) -> None:
        request = await _only(call)
        await call.send(await handler(request, call))

    return stream(serve, **options)


async def _only(call: Dialogue) -> bytes:
    try:
        async with asyncio.timeout(_UNARY_WITHIN):
            request, more = await call.receive(), None
            if request is not None:
                more = await call.receive()
    except TimeoutError:
        raise Abort(Code.DEADLINE_EXCEEDED, "the request did not come") from None
    if request is None or more is not None:
        raise Abort(Code.INVALID_ARGUMENT, "a unary call has one request")
    return request
