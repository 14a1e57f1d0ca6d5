"""Lines out of a stream of bytes, however it is cut."""

from __future__ import annotations


class Lines:
    """Feed it chunks; it gives the lines that are complete, without their ends."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        # A line of megabytes comes in many chunks: they are joined once, when its end is there.
        if b"\n" not in chunk:
            self._pending.append(chunk)
            return []
        lines = b"".join((*self._pending, chunk)).split(b"\n")
        rest = lines.pop()
        self._pending = [rest] if rest else []
        return [line for line in lines if line]
