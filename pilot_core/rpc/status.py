"""How a call ends: gRPC's codes, and the trailers that say them.

Source: grpc/grpc doc/PROTOCOL-HTTP2.md, doc/statuscodes.md.
"""

from __future__ import annotations

import enum
from urllib.parse import quote

from pilot_core.http2.fields import literal, status

_WORDS_LIMIT = 1_024
"""Characters of a message: trailers have to fit into a frame, and into what a client reads."""
_PLAIN = "".join(chr(n) for n in range(0x20, 0x7F) if chr(n) != "%")
"""What stands for itself in grpc-message."""


class Code(enum.IntEnum):
    """grpc.StatusCode."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Abort(Exception):
    """Ends a call with a code and words for the client. Raised by those who serve a method."""

    def __init__(self, code: Code, words: str) -> None:
        super().__init__(words)
        self.code = code


OPENING = (
    status(200)
    + literal(b"content-type", b"application/grpc")
    + literal(b"grpc-accept-encoding", b"identity")
)
"""The header fields of every response."""


def trailers(code: Code, words: str = "") -> bytes:
    """The fields that end a call, as a header block."""
    block = literal(b"grpc-status", b"%d" % code)
    if words:
        block += literal(b"grpc-message", quote(words[:_WORDS_LIMIT], safe=_PLAIN).encode())
    return block


def http_error(code: int) -> bytes:
    """A whole response to what is not gRPC."""
    return status(code) + literal(b"content-length", b"0")
