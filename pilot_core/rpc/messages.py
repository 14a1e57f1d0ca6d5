"""Messages in a stream of bytes: a flag, four bytes of length, the message."""

from __future__ import annotations

from collections.abc import Iterator

from pilot_core.rpc.status import Abort, Code

PREFIX = 5


def prefix(size: int) -> bytes:
    """What stands before a message of that size."""
    return size.to_bytes(PREFIX, "big")


class Assembler:
    """Takes bytes in whatever pieces, and gives whole messages."""

    __slots__ = ("_held", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: bytearray | None = None

    @property
    def held(self) -> int:
        """Bytes of a message that is not complete."""
        return len(self._held) if self._held else 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are complete with this. Raises Abort."""
        if not self._held:
            if len(data) >= PREFIX and self._length(data) == len(data) - PREFIX:
                # One message in one frame, as nearly always.
                yield data[PREFIX:]
                return
            self._held = bytearray()
        held = self._held
        held += data
        while len(held) >= PREFIX:
            end = PREFIX + self._length(held)
            if len(held) < end:
                return
            message = bytes(held[PREFIX:end])
            del held[:end]
            yield message
        if not held:
            self._held = None

    def _length(self, data: bytes | bytearray) -> int:
        if data[0]:
            raise Abort(Code.UNIMPLEMENTED, "compressed messages are not taken: send them as is")
        length = int.from_bytes(data[1:PREFIX], "big")
        if length > self._limit:
            words = f"a message of {length} bytes, where {self._limit} are taken"
            raise Abort(Code.RESOURCE_EXHAUSTED, words)
        return length
