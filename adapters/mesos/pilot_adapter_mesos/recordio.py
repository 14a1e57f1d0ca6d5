"""RecordIO: `<decimal length>\\n<payload>`, one after the other, cut anywhere by the network.

Source: mesos.apache.org, "Scheduler HTTP API", section on RecordIO.
"""

from __future__ import annotations

from collections.abc import Iterator

LONGEST = 1 << 30
"""Bytes of one record: a snapshot of 100,000 tasks has about 120 MB."""
_LENGTH_DIGITS = 10


class NotRecords(Exception):
    """The bytes are no RecordIO stream."""


class Decoder:
    """Put bytes in as they come; whole records come out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted: int | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The records that are complete now. Raises NotRecords."""
        self._buffer += data
        at = 0
        while True:
            if self._wanted is None:
                end = self._buffer.find(b"\n", at, at + _LENGTH_DIGITS + 1)
                if end < 0:
                    break
                self._wanted, at = _length(self._buffer[at:end]), end + 1
            if len(self._buffer) - at < self._wanted:
                break
            yield bytes(self._buffer[at : at + self._wanted])
            at, self._wanted = at + self._wanted, None
        del self._buffer[:at]
        if self._wanted is None and len(self._buffer) > _LENGTH_DIGITS:
            raise NotRecords(f"no record starts with {bytes(self._buffer[:20])!r}")

    @property
    def is_between_records(self) -> bool:
        return self._wanted is None and not self._buffer


def _length(digits: bytearray) -> int:
    if not digits.isdigit() or int(digits) > LONGEST:
        raise NotRecords(f"{bytes(digits)!r} is no length of a record")
    return int(digits)
