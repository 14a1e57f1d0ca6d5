"""What one connection may cost, and how fast it may spend it.

Every limit stands against an attack that has been made on HTTP/2 servers: rapid reset
(CVE-2023-44487), resets that the server is made to send (CVE-2025-8671), CONTINUATION (VU#421644),
PING, SETTINGS, priority and empty-frame floods (CVE-2019-9511 to 9518), header bombs.
"""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes are bytes; what is per second is so in the long run, after a burst."""

    streams: int = 100
    """At a time. An Envoy has one or two, an agent three."""
    stream_window: int = 256 << 10
    """A state-of-the-world request with 10,000 names is 400 KB, a stock Envoy's node 60 KB."""
    connection_window: int = 1 << 20
    header_list: int = 16 << 10
    """More is answered with a refusal; a token of 16 KB is refused with its stream alone."""
    header_block: int = 32 << 10
    """More ends the connection, compressed or not: what it says is not known after that."""
    continuations: int = 8
    """CONTINUATION frames to one header block."""
    resets: int = 200
    """Streams that the client breaks off, or makes us break off, in a burst."""
    resets_per_second: float = 20.0
    control_frames: int = 1_000
    """Frames that bring nothing, in a burst; what is sent to the client earns it more of them."""
    control_frames_per_second: float = 50.0


_WORTH_AN_ANSWER = 64
_EARNED_PER = 1_024


def earned(size: int) -> int:
    """How many frames that bring nothing a client may send more, for having been sent so much: some
    open both windows, and ping, for every message (so does gRPC for Go). What is cut to crumbs by a
    client's windows earns nothing: else it would pay for itself."""
    return 3 + size // _EARNED_PER if size >= _WORTH_AN_ANSWER else 0


class Budget:
    """So many of something in a burst, and so many per second."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, burst: int, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._left, self._at = float(burst), 0.0

    def spend(self, now: float) -> bool:
        """Take one. False where there is none left. `now` is seconds."""
        left = self._left + (now - self._at) * self._rate
        self._left, self._at = min(self._burst, left) - 1, now
        return self._left >= 0

    def earn(self, more: float) -> None:
        self._left = min(self._burst, self._left + more)
