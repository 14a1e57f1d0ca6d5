"""What can be wrong with what a client sends: with a stream, or with the whole connection."""

from __future__ import annotations

import enum


class ErrorCode(enum.IntEnum):
    """RFC 9113, 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13

    @classmethod
    def of(cls, number: int) -> ErrorCode:
        """What a peer has said; what is unknown counts as an internal error (RFC 9113, 7)."""
        return cls(number) if number <= cls.HTTP_1_1_REQUIRED else cls.INTERNAL_ERROR


class ConnectionFault(Exception):
    """The connection is over: GOAWAY with this code and these words."""

    def __init__(self, code: ErrorCode, words: str) -> None:
        super().__init__(words)
        self.code = code


class StreamFault(Exception):
    """The stream is over: RST_STREAM with this code. Other streams go on."""

    def __init__(self, stream: int, code: ErrorCode, words: str) -> None:
        super().__init__(words)
        self.stream, self.code = stream, code
