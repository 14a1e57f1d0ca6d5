"""What a connection tells: what a client has asked for, said, or broken off."""

from __future__ import annotations

import msgspec

from pilot_core.http2.errors import ErrorCode

Fields = tuple[tuple[bytes, bytes], ...]
"""Header fields in their order, pseudo-header fields first, names in lower case."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """A stream has been opened. `is_too_long`: its fields are more than is read, and left out."""

    stream: int
    fields: Fields
    is_end: bool
    is_too_long: bool = False


class Data(msgspec.Struct, frozen=True, gc=False):
    """Bytes of a request's body. `size` of the windows is used until `credit` gives it back."""

    stream: int
    data: bytes
    size: int
    is_end: bool


class Reset(msgspec.Struct, frozen=True, gc=False):
    """The stream is over: the client has broken it off, or has broken a rule on it."""

    stream: int
    code: ErrorCode
    words: str = ""


class WindowOpened(msgspec.Struct, frozen=True, gc=False):
    """More may be sent: on this stream, or on all, if it is 0."""

    stream: int


class Ponged(msgspec.Struct, frozen=True, gc=False):
    """The client has answered a ping."""

    payload: bytes


class Over(msgspec.Struct, frozen=True, gc=False):
    """The connection is over: write what there is to write, and close it."""

    code: ErrorCode
    words: str


Event = Request | Data | Reset | WindowOpened | Ponged | Over
