"""A client of HTTP/2 by hand: it may say whatever bytes it likes, and shows what it hears."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

import hpack

from pilot_core.http2 import frames
from pilot_core.http2.connection import ServerConnection
from pilot_core.http2.errors import ErrorCode
from pilot_core.http2.events import Event, Over
from pilot_core.http2.limits import Limits

ENDS, WHOLE = frames.END_STREAM, frames.END_HEADERS
POST = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/some.Service/Method"),
    (":authority", "here"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
)


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes = b""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return frames.head(len(payload), kind, flags, stream) + payload


def block(fields: Iterable[tuple[str, str]] = POST) -> bytes:
    """Fields that are not remembered, so that blocks may be said in any order."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode([(n, v) for n, v in fields], huffman=False)


def headers(stream: int, fields: Iterable[tuple[str, str]] = POST, flags: int = WHOLE) -> bytes:
    return frame(frames.HEADERS, flags, stream, block(fields))


def settings(values: dict[int, int] | None = None) -> bytes:
    return frames.settings(values or {})


def window(stream: int, more: int) -> bytes:
    return frame(frames.WINDOW_UPDATE, 0, stream, struct.pack(">I", more))


def parse(data: bytes) -> list[Frame]:
    """Whole frames."""
    found, at = [], 0
    while at < len(data):
        high, low, kind, flags, stream = frames.read_head(data, at)
        end = at + frames.HEAD_SIZE + (high << 16 | low)
        assert end <= len(data), "half a frame"
        found.append(Frame(kind, flags, stream, data[at + frames.HEAD_SIZE : end]))
        at = end
    return found


class Talk:
    """A connection, and its client."""

    def __init__(self, limits: Limits | None = None, *, is_greeted: bool = True) -> None:
        self.now = 1_000.0
        self.server = ServerConnection(limits or Limits(), self.now)
        self._decoder = hpack.Decoder()
        if is_greeted:
            self.say(frames.PREFACE, settings())
            self.hear()

    def say(self, *data: bytes) -> list[Event]:
        return self.server.receive(b"".join(data), self.now)

    def hear(self) -> list[Frame]:
        """What the server has to say since it was last asked."""
        return parse(b"".join(self.server.take()))

    def fields(self, heard: Frame) -> dict[str, str]:
        assert frames.HEADERS == heard.kind
        return {n.decode(): v.decode() for n, v in self._decoder.decode(heard.payload, raw=True)}

    def end(self) -> tuple[ErrorCode, str] | None:
        """What the server says in its GOAWAY."""
        for heard in self.hear():
            if heard.kind == frames.GOAWAY:
                return ErrorCode(int.from_bytes(heard.payload[4:8], "big")), heard.payload[
                    8:
                ].decode()
        return None

    def resets(self) -> list[tuple[int, ErrorCode]]:
        """The streams that the server breaks off."""
        return [
            (f.stream, ErrorCode(int.from_bytes(f.payload, "big")))
            for f in self.hear()
            if f.kind == frames.RST_STREAM
        ]


def over(events: list[Event]) -> ErrorCode | None:
    """Has the connection ended with this, and how?"""
    last = events[-1] if events else None
    return last.code if isinstance(last, Over) else None
