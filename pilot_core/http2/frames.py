"""The frames of RFC 9113, section 6: their heads, and those that are written whole."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from pilot_core.http2.errors import ConnectionFault, ErrorCode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
HEAD_SIZE = 9
FRAME_SIZE = 16_384
"""The largest payload that everybody takes, and that we do."""
WINDOW = 65_535
"""Every window at the start."""
LARGEST_WINDOW = 2**31 - 1
STREAM_BITS = 2**31 - 1
"""The highest bit beside a number of a stream, or a window's, means nothing."""

_HEAD = struct.Struct(">BHBBI")
_SETTING = struct.Struct(">HI")
read_head = _HEAD.unpack_from
"""The head at a place: length (its high byte, and the rest), type, flags, stream."""


def head(length: int, kind: int, flags: int, stream: int) -> bytes:
    return _HEAD.pack(length >> 16, length & 0xFFFF, kind, flags, stream)


def headers(stream: int, block: bytes, *, end: bool) -> bytes:
    """The whole header block in one frame."""
    flags = END_HEADERS | END_STREAM if end else END_HEADERS
    return head(len(block), HEADERS, flags, stream) + block


def settings(values: Mapping[int, int]) -> bytes:
    payload = b"".join(_SETTING.pack(key, value) for key, value in values.items())
    return head(len(payload), SETTINGS, 0, 0) + payload


SETTINGS_ACK = head(0, SETTINGS, ACK, 0)


def reset(stream: int, code: ErrorCode) -> bytes:
    return head(4, RST_STREAM, 0, stream) + code.to_bytes(4, "big")


def ping(payload: bytes, *, ack: bool) -> bytes:
    return head(8, PING, ACK if ack else 0, 0) + payload


def go_away(last: int, code: ErrorCode, words: str) -> bytes:
    said = words.encode()
    return (
        head(8 + len(said), GOAWAY, 0, 0) + last.to_bytes(4, "big") + code.to_bytes(4, "big") + said
    )


def window_update(stream: int, more: int) -> bytes:
    return head(4, WINDOW_UPDATE, 0, stream) + more.to_bytes(4, "big")


def read_settings(payload: bytes) -> dict[int, int]:
    """Each setting's last value, which is the one that counts."""
    return dict(_SETTING.iter_unpack(payload))


def unpadded(payload: bytes) -> bytes:
    """Without its padding. Raises ConnectionFault where that is more than all there is."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def depends_on(payload: bytes) -> int:
    """The stream that a priority names."""
    return int.from_bytes(payload[:4], "big") & STREAM_BITS


def expect_size(payload: bytes, size: int, kind: str) -> None:
    """Raises ConnectionFault."""
    if len(payload) != size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"{kind} has {size} bytes")
