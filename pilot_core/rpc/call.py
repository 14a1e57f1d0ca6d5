"""One call: what its client has sent with it, and how it is answered.

Whoever serves a method is a `Receiver`: it is told what comes, and may send one message at a time:
the next one when the last has been taken by the client's windows and the socket, so that nothing
piles up for those that do not read.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from pilot_core.http2.cutting import split
from pilot_core.http2.events import Fields
from pilot_core.rpc import status
from pilot_core.rpc.messages import PREFIX, Assembler, prefix
from pilot_core.rpc.status import Abort, Code

if TYPE_CHECKING:
    from pilot_core.rpc.session import Session

log = logging.getLogger(__name__)

_AT_ONCE = 128 << 10
"""Bytes that are handed to a socket before it is asked whether it takes more."""
_MAX_MESSAGE = 4 << 20
_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class Peer(msgspec.Struct, frozen=True, gc=False):
    """Who is at the other end. `address` is `10.0.0.7:51234`, or `[::1]:51234`; `certificate` is
    DER, and None where there is no TLS or the client has shown none."""

    address: str
    certificate: bytes | None = None

    @property
    def host(self) -> str:
        """The address without the port, which changes with every connection."""
        return self.address.rpartition(":")[0].strip("[]")


class Receiver(Protocol):
    """Serves one call. Nothing here may wait."""

    @property
    def is_full(self) -> bool:
        """Is what has come to be taken first, before the client may send more?"""

    def message(self, data: bytes) -> None:
        """One whole message. May raise Abort."""

    def ended(self) -> None:
        """The client will say nothing more; it may still be answered."""

    def ready(self) -> None:
        """What was being sent has been taken."""

    def lost(self, words: str) -> None:
        """The call is over, and not because it was finished."""


class Method(msgspec.Struct, frozen=True):
    """How a method is served: whoever `open` gives receives the call's messages."""

    open: Callable[[Call], Receiver]
    max_message: int = _MAX_MESSAGE
    """Bytes of a request."""


class Call:
    """Made by a session."""

    __slots__ = (
        "_assembler",
        "_fields",
        "_has_opened",
        "_held",
        "_is_awaited",
        "_pending",
        "_receiver",
        "_session",
        "_size",
        "_stream",
        "_timer",
        "_uncredited",
        "is_over",
        "path",
        "writing_since",
    )

    def __init__(
        self, session: Session, stream: int, path: str, fields: Fields, method: Method
    ) -> None:
        self.path = path
        self.is_over = False
        self.writing_since: float | None = None
        """Since when a message has been waiting to be taken."""
        self._session, self._stream, self._fields = session, stream, fields
        self._assembler = Assembler(method.max_message)
        self._pending: list[bytes | memoryview] = []
        self._size = self._uncredited = self._held = 0
        self._has_opened = self._is_awaited = False
        self._timer: asyncio.TimerHandle | None = None
        self._receiver: Receiver = method.open(self)
        self._expire_in_time()

    @property
    def peer(self) -> Peer:
        return self._session.peer

    @property
    def metadata(self) -> dict[str, str]:
        """What the client has sent along, names in lower case; of several of a name, the last."""
        return {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in self._fields
            if not name.startswith(b":")
        }

    # To the client

    def is_ready(self) -> bool:
        """May a message be sent? If not, the receiver will be told when it may."""
        if self._pending or self._session.is_paused:
            self._is_awaited = True
            return False
        return not self.is_over

    def send(self, *parts: bytes) -> None:
        """Send one message, which is these bytes one after another; only where `is_ready`.

        It is written by `flush`, or when what has come with the same bytes has been dealt with.
        """
        http2, size = self._session.http2, sum(map(len, parts))
        if not self._has_opened:
            http2.send_headers(self._stream, status.OPENING)
            self._has_opened = True
        whole = (prefix(size), *parts)
        size += PREFIX
        if size <= _AT_ONCE and size <= http2.room(self._stream):
            http2.send_data(self._stream, whole, size)
            return
        self._pending, self._size = list(whole), size
        self.writing_since, self._is_awaited = self._session.now(), True
        self._go_on()

    def flush(self) -> None:
        """Write what has been sent."""
        self._session.flush()

    def finish(self, code: Code = Code.OK, words: str = "") -> None:
        """End the call."""
        if self.is_over:
            return
        block = status.trailers(code, words)
        self._session.http2.finish(
            self._stream, block if self._has_opened else status.OPENING + block
        )
        self._end()
        self._session.flush()

    def relieve(self) -> None:
        """The receiver is not full any more."""
        size, self._uncredited = self._uncredited, 0
        self._session.http2.credit(self._stream, size)
        self._session.flush()

    # From the session

    def receive(self, data: bytes, size: int, *, is_end: bool) -> None:
        """Bytes of the request's body, which have used `size` of the windows."""
        try:
            self._take(data, is_end=is_end)
        except Abort as abort:
            self.fail(abort.code, str(abort))
        except Exception:
            log.exception("a call failed", extra={"path": self.path})
            self.fail(Code.INTERNAL, "the server has failed")
        if self.is_over or not self._receiver.is_full:
            self._session.http2.credit(self._stream, size)
        else:
            self._uncredited += size

    def hand_over(self, receiver: Receiver, messages: Iterable[bytes], *, is_end: bool) -> None:
        """From now on somebody else serves the call; this is what has come before."""
        self._receiver = receiver
        try:
            for message in messages:
                if not self.is_over:
                    receiver.message(message)
            if is_end and not self.is_over:
                receiver.ended()
        except Abort as abort:
            self.fail(abort.code, str(abort))
        except Exception:
            log.exception("a call failed", extra={"path": self.path})
            self.fail(Code.INTERNAL, "the server has failed")
        if not self.is_over:
            self.relieve()

    def go_on(self) -> None:
        """There may be room again."""
        if self._go_on() and self._is_awaited and not self._session.is_paused:
            self._is_awaited = False
            self._receiver.ready()

    def fail(self, code: Code, words: str) -> None:
        """End the call from this side, and tell the receiver."""
        if not self.is_over:
            self.finish(code, words)
            self._receiver.lost(words)

    def lose(self, words: str) -> None:
        """The client has ended the call, or is gone."""
        if not self.is_over:
            self._end()
            self._receiver.lost(words)

    def _take(self, data: bytes, *, is_end: bool) -> None:
        for message in self._assembler.feed(data):
            self._receiver.message(message)
            if self.is_over:
                return
        self._note_held(self._assembler.held)
        if is_end:
            self._end_of_request()

    def _note_held(self, held: int) -> None:
        if held != self._held:
            more, self._held = held - self._held, held
            self._session.hold(more)

    def _end_of_request(self) -> None:
        if self._assembler.held:
            raise Abort(Code.INTERNAL, "the request ends amid a message")
        self._receiver.ended()

    def _go_on(self) -> bool:
        """Hand on what there is room for. True if there is nothing left."""
        session = self._session
        while self._pending:
            size = min(_AT_ONCE, self._size, session.http2.room(self._stream))
            if session.is_paused or not size:
                return False
            run, self._pending = split(self._pending, size)
            session.http2.send_data(self._stream, run, size)
            self._size -= size
            session.flush()
        self.writing_since = None
        return True

    def _end(self) -> None:
        self.is_over = True
        self._pending, self.writing_since = [], None
        self._note_held(0)
        self._session.forget(self._stream)
        if self._timer is not None:
            self._timer.cancel()

    def _expire_in_time(self) -> None:
        said = self.metadata.get("grpc-timeout")
        if said is None:
            return
        found = _TIMEOUT.fullmatch(said)
        if found is None:
            raise Abort(Code.INTERNAL, f"a grpc-timeout that is none: {said!r:.40}")
        seconds = int(found[1]) * _SECONDS[found[2]]
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(
            seconds, self.fail, Code.DEADLINE_EXCEEDED, "the client's deadline has passed"
        )
