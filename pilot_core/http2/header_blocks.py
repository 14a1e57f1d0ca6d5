"""Header blocks, put together from their frames and decoded."""

from __future__ import annotations

import hpack
import msgspec

from pilot_core.http2 import frames
from pilot_core.http2.errors import ConnectionFault, ErrorCode, StreamFault
from pilot_core.http2.events import Fields
from pilot_core.http2.limits import Limits


class Block(msgspec.Struct, frozen=True):
    """A decoded one. A fault is of the frames that it came in."""

    stream: int
    fields: Fields
    is_end: bool
    fault: StreamFault | None


class Blocks:
    """The decoder of a connection, and the block that is being received."""

    __slots__ = ("_block", "_continuations", "_decoder", "_fault", "_is_end", "_limits", "stream")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._decoder = hpack.Decoder(max_header_list_size=limits.header_block)
        self._block: bytes | None = None
        self._continuations = 0
        self._fault: StreamFault | None = None
        self._is_end = False
        self.stream = 0
        """Whose block it is."""

    @property
    def is_open(self) -> bool:
        return self._block is not None

    def start(self, flags: int, stream: int, payload: bytes) -> None:
        """The payload of a HEADERS frame. Raises ConnectionFault."""
        self.stream, self._is_end = stream, bool(flags & frames.END_STREAM)
        self._fault, self._continuations = None, 0
        if flags & frames.PADDED:
            payload = frames.unpadded(payload)
        if flags & frames.WITH_PRIORITY:
            if len(payload) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS end in their priority")
            if frames.depends_on(payload) == stream:
                words = "a stream that depends on itself"
                self._fault = StreamFault(stream, ErrorCode.PROTOCOL_ERROR, words)
            payload = payload[5:]
        self._block = payload

    def go_on(self, payload: bytes) -> None:
        """The payload of a CONTINUATION frame. Raises ConnectionFault."""
        assert self._block is not None
        self._continuations += 1
        self._block += payload
        is_long = len(self._block) > self._limits.header_block
        if is_long or self._continuations > self._limits.continuations:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")

    def end(self) -> Block:
        """The block is complete. Raises ConnectionFault."""
        assert self._block is not None
        block, self._block = self._block, None
        try:
            said = self._decoder.decode(block, raw=True)
        except hpack.OversizedHeaderListError:
            words = f"header fields of more than {self._limits.header_block} bytes"
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, words) from None
        except hpack.HPACKError as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, str(error)) from None
        fields = tuple((bytes(name), bytes(value)) for name, value in said)
        return Block(self.stream, fields, self._is_end, self._fault)
