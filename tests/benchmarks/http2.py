"""One HTTP/2 connection with one gRPC stream on it, in raw bytes: cheap enough for thousands.

Just what an ADS client needs of RFC 9113: it sends literal header fields, never looks at those that
come back, respects the peer's windows and keeps its own open wide, as Envoy does.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _PADDED = 1, 1, 8
_STREAM = 1
_OUR_WINDOW = 16 << 20
_OUR_CONNECTION_WINDOW = 24 << 20
_FRAME_LIMIT = 16384


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """A header field that the peer is not to remember (RFC 7541, 6.2.2), lengths below 127."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def _opening(path: str) -> bytes:
    fields = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"xds"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
    settings = struct.pack(">HI", 4, _OUR_WINDOW) + struct.pack(">HI", 2, 0)
    grown = struct.pack(">I", _OUR_CONNECTION_WINDOW - 65535)
    headers = b"".join(_literal(name, value) for name, value in fields)
    return b"".join(
        (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, settings),
            _frame(_WINDOW, 0, 0, grown),
            _frame(_HEADERS, 4, _STREAM, headers),
        )
    )


class Http2Stream(asyncio.Protocol):
    """Calls `on_message` for every gRPC message and `on_end` when the stream is over."""

    def __init__(
        self,
        path: str,
        on_open: Callable[[], None],
        on_message: Callable[[bytes], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._path, self._on_open = path, on_open
        self._on_message, self._on_end = on_message, on_end
        self._in = bytearray()
        self._message = bytearray()
        self._unacknowledged = 0
        self._windows = [65535, 65535]
        """What we may still send: on the connection, on the stream."""
        self._initial = 65535
        self._out = bytearray()
        self._transport: asyncio.Transport | None = None
        self.received = 0
        self.is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_opening(self._path))
        self._on_open()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("connection lost")

    def stop_reading(self) -> None:
        """From now on leave everything in the socket."""
        assert self._transport is not None
        self._transport.pause_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def send(self, message: bytes) -> None:
        self._out += b"\x00" + struct.pack(">I", len(message)) + message
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self._in:
            self._in += data
            data = bytes(self._in)
            self._in.clear()
        at = 0
        while len(data) - at >= 9:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if len(data) - at < 9 + length:
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big")
            payload = data[at + 9 : at + 9 + length]
            self._frame(data[at + 3], data[at + 4], stream, payload)
            at += 9 + length
        if at < len(data):
            self._in += data[at:]

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._data(payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload)
            self._consumed(len(payload))
        elif kind == _WINDOW:
            self._may_send_more(stream, payload)
        elif kind == _SETTINGS and not flags & _ACK:
            self._settings(payload)
        elif kind == _PING and not flags & _ACK:
            self._write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RST, _GOAWAY) or (kind == _HEADERS and flags & _END_STREAM):
            self._end({_RST: "reset", _GOAWAY: "go away"}.get(kind, "ended by the server"))

    def _settings(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            key, value = struct.unpack_from(">HI", payload, at)
            if key == 4:
                self._windows[1] += value - self._initial
                self._initial = value
        self._write(_frame(_SETTINGS, _ACK, 0, b""))
        self._flush()

    def _may_send_more(self, stream: int, payload: bytes) -> None:
        (more,) = struct.unpack(">I", payload)
        self._windows[1 if stream else 0] += more
        self._flush()

    def _data(self, payload: bytes) -> None:
        message = self._message
        message += payload
        while len(message) >= 5:
            (length,) = struct.unpack_from(">I", message, 1)
            if len(message) < 5 + length:
                return
            whole = bytes(message[5 : 5 + length])
            del message[: 5 + length]
            self._on_message(whole)

    def _consumed(self, count: int) -> None:
        self._unacknowledged += count
        if self._unacknowledged > _OUR_WINDOW // 2:
            grown = struct.pack(">I", self._unacknowledged)
            self._write(_frame(_WINDOW, 0, 0, grown) + _frame(_WINDOW, 0, _STREAM, grown))
            self._unacknowledged = 0

    def _flush(self) -> None:
        while self._out and (room := min(*self._windows, _FRAME_LIMIT, len(self._out))) > 0:
            self._write(_frame(_DATA, 0, _STREAM, bytes(self._out[:room])))
            del self._out[:room]
            self._windows[0] -= room
            self._windows[1] -= room

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, why: str) -> None:
        if not self.is_over:
            self.is_over = True
            self._on_end(why)
