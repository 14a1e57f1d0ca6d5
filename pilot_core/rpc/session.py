"""One client's connection: a socket, perhaps TLS, HTTP/2, and the calls on it.

Everything that has come with one read is dealt with before anything is written, so that what
belongs together goes out together. When the socket takes no more, nothing is put together for it
until it does.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pilot_core.http2 import events
from pilot_core.http2.connection import ServerConnection
from pilot_core.http2.errors import ErrorCode
from pilot_core.rpc import status
from pilot_core.rpc.call import Call, Peer
from pilot_core.rpc.limits import Cut
from pilot_core.rpc.status import Abort, Code
from pilot_core.rpc.tls import TlsLayer, TlsRefused

if TYPE_CHECKING:
    from pilot_core.rpc.server import Server

log = logging.getLogger(__name__)

_TOO_MUCH_TO_WRITE = 256 << 10
"""Bytes that a client has not taken, beyond which nothing more is read from it."""
_GRPC = b"application/grpc"
_NOBODY = Peer("")


class Session(asyncio.Protocol):
    """Made by a server for every connection that it accepts."""

    __slots__ = (
        "_amid_headers_since",
        "_calls",
        "_heard_at",
        "_held",
        "_is_closing",
        "_opened_at",
        "_paused_since",
        "_pinged_at",
        "_server",
        "_tls",
        "_transport",
        "host",
        "http2",
        "peer",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._calls: dict[int, Call] = {}
        self._tls: TlsLayer | None = None
        self._transport: asyncio.Transport | None = None
        self._held = 0
        self._opened_at = self._heard_at = server.now()
        self._paused_since: float | None = None
        self._pinged_at: float | None = None
        self._amid_headers_since: float | None = None
        self._is_closing = False
        self.http2 = ServerConnection(server.limits.http2, self._opened_at)
        self.host = ""
        self.peer = _NOBODY

    @property
    def is_paused(self) -> bool:
        """Does the socket take nothing more for now?"""
        return self._paused_since is not None

    def now(self) -> float:
        return self._server.now()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        name = transport.get_extra_info("peername")
        self.host = name[0] if name else ""
        self.peer = Peer(_shown(name))
        if not self._server.admit(self):
            self.abort()
            return
        try:
            self._tls = self._server.tls_layer()
        except Exception:
            log.exception("there is no context for TLS")
            self.abort()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._server.leave(self)
        self._lose_all("the client is gone")

    def pause_writing(self) -> None:
        self._paused_since = self.now()

    def resume_writing(self) -> None:
        self._paused_since = None
        if self._transport is not None and not self._is_closing:
            self._transport.resume_reading()
        self._go_on_with_all()

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            # Read and thrown away, so that what was written is not lost to a reset.
            return
        self._heard_at, self._pinged_at = self._server.now(), None
        if self._tls is not None:
            data = self._decrypted(self._tls, data)
        for event in self.http2.receive(data, self._heard_at):
            self._take(event)
        self.flush()
        if self.is_paused:
            self._read_no_more()

    # For calls

    def flush(self) -> None:
        """Write what has been put together."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._tls is None:
            out = self.http2.take()
            if out:
                transport.writelines(out)
            return
        if self._tls.is_up:
            self._tls.send(self.http2.take())
        encrypted = self._tls.take()
        if encrypted:
            transport.write(encrypted)

    def forget(self, stream: int) -> None:
        """A call is over."""
        self._calls.pop(stream, None)

    def hold(self, more: int) -> None:
        """So much more, or less, of messages that are not complete. Raises Abort."""
        self._held += more
        if more > 0 and self._held > self._server.limits.partial:
            raise Abort(Code.RESOURCE_EXHAUSTED, "too much of messages that are not complete")

    # For the server

    def look(self, now: float) -> None:
        """Called every second: cut off who leaves us waiting, ask who has been silent."""
        limits = self._server.limits
        latest = now - limits.handshake
        if self._is_closing:
            return
        if not self.http2.is_greeted:
            if self._opened_at < latest:
                self._cut_off(Cut.HANDSHAKE, "a client does not say what it wants")
            return
        if not self.http2.is_amid_headers:
            self._amid_headers_since = None
        elif self._amid_headers_since is None:
            self._amid_headers_since = now
        elif self._amid_headers_since < latest:
            self._cut_off(Cut.HANDSHAKE, "a client does not complete its header fields")
            return
        if self._is_stuck(now - limits.taking):
            log.warning("a client does not read", extra={"peer": self.peer.address})
            self._cut_off(Cut.NOT_READING, "it does not read")
        elif self._heard_at < now - limits.silence:
            self._ask_for_a_sign(now)

    def turn_away(self, words: str) -> None:
        """End all calls, and the connection, in good order."""
        for call in tuple(self._calls.values()):
            call.fail(Code.UNAVAILABLE, words)
        if not self._is_closing:
            self.http2.go_away(ErrorCode.NO_ERROR, words)
            self._say_goodbye()

    def abort(self) -> None:
        """End the connection at once, without a word."""
        self._is_closing = True
        if self._transport is not None:
            self._transport.abort()

    # What comes

    def _decrypted(self, tls: TlsLayer, data: bytes) -> bytes:
        was_up = tls.is_up
        try:
            plain = tls.receive(data)
        except TlsRefused as error:
            log.info("tls was refused", extra={"peer": self.peer.address, "error": str(error)})
            self._server.note_cut(Cut.HANDSHAKE)
            self.flush()
            self._close()
            return b""
        if tls.is_up and not was_up:
            self.peer = Peer(self.peer.address, tls.certificate)
        if tls.is_closed:
            self._close()
        return plain

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.Data):
            self._take_data(event)
        elif isinstance(event, events.WindowOpened):
            self._take_window(event.stream)
        elif isinstance(event, events.Request):
            self._take_request(event)
        elif isinstance(event, events.Reset):
            self._take_reset(event)
        elif isinstance(event, events.Over):
            self._take_end(event)

    def _take_data(self, event: events.Data) -> None:
        call = self._calls.get(event.stream)
        if call is None:
            self.http2.credit(event.stream, event.size)
        else:
            call.receive(event.data, event.size, is_end=event.is_end)

    def _take_window(self, stream: int) -> None:
        if stream == 0:
            self._go_on_with_all()
        elif (call := self._calls.get(stream)) is not None:
            call.go_on()

    def _take_request(self, event: events.Request) -> None:
        stream, said = event.stream, dict(event.fields)
        if event.is_too_long:
            self._refuse(stream, Code.RESOURCE_EXHAUSTED, "too many header fields")
        elif said[b":method"] != b"POST":
            self.http2.finish(stream, status.http_error(405))
        elif not said.get(b"content-type", b"").startswith(_GRPC):
            self.http2.finish(stream, status.http_error(415))
        elif self._server.is_draining:
            self._refuse(stream, Code.UNAVAILABLE, "draining: try another server")
        else:
            self._open(event, said[b":path"].decode("latin-1"))

    def _open(self, event: events.Request, path: str) -> None:
        method = self._server.methods.get(path)
        if method is None:
            self._refuse(event.stream, Code.UNIMPLEMENTED, f"nobody serves {path:.200}")
            return
        try:
            call = Call(self, event.stream, path, event.fields, method)
        except Abort as abort:
            self._refuse(event.stream, abort.code, str(abort))
            return
        self._calls[event.stream] = call
        if event.is_end:
            call.receive(b"", 0, is_end=True)

    def _refuse(self, stream: int, code: Code, words: str) -> None:
        self.http2.finish(stream, status.OPENING + status.trailers(code, words))

    def _take_reset(self, event: events.Reset) -> None:
        call = self._calls.get(event.stream)
        if call is not None:
            call.lose(event.words)

    def _take_end(self, event: events.Over) -> None:
        said = {"peer": self.peer.address, "code": event.code.name, "error": event.words}
        log.info("a connection was refused", extra=said)
        self._server.note_cut(Cut.PROTOCOL)
        self._lose_all(event.words)
        self._say_goodbye()

    # How it goes on, and ends

    def _go_on_with_all(self) -> None:
        for call in tuple(self._calls.values()):
            call.go_on()

    def _lose_all(self, words: str) -> None:
        for call in tuple(self._calls.values()):
            call.lose(words)

    def _read_no_more(self) -> None:
        transport = self._transport
        if transport and transport.get_write_buffer_size() > _TOO_MUCH_TO_WRITE:
            transport.pause_reading()

    def _is_stuck(self, latest: float) -> bool:
        if self._paused_since is not None and self._paused_since < latest:
            return True
        return any(
            call.writing_since and call.writing_since < latest for call in self._calls.values()
        )

    def _ask_for_a_sign(self, now: float) -> None:
        if self._pinged_at is None:
            self._pinged_at = now
            self.http2.ping(b"pilot-ok")
            self.flush()
        elif self._pinged_at < now - self._server.limits.answer:
            self._cut_off(Cut.SILENT, "a client does not answer")

    def _cut_off(self, reason: Cut, words: str) -> None:
        self._server.note_cut(reason)
        log.info("a connection was cut off", extra={"peer": self.peer.address, "error": words})
        self._lose_all(words)
        self.abort()

    def _say_goodbye(self) -> None:
        """Write what there is, and close when the client has done so, or after a moment."""
        self.flush()
        self._close()

    def _close(self) -> None:
        transport = self._transport
        self._is_closing = True
        if transport is None or transport.is_closing():
            return
        if self._tls is not None and self._tls.is_up:
            self._tls.close()
            transport.write(self._tls.take())
        transport.write_eof()
        loop = asyncio.get_running_loop()
        loop.call_later(self._server.limits.goodbye, transport.abort)


def _shown(name: tuple[str, int] | str | None) -> str:
    if not isinstance(name, tuple):
        return name or ""
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
