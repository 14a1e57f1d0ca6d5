"""What may be sent on a connection, and what has been put together to be written."""

from __future__ import annotations

from collections.abc import Sequence

from pilot_core.http2 import fields, frames
from pilot_core.http2.cutting import cut
from pilot_core.http2.errors import ErrorCode
from pilot_core.http2.limits import Budget, Limits, earned
from pilot_core.http2.stream import StreamState

_MAX_STREAMS, _INITIAL_WINDOW, _MAX_HEADER_LIST = 3, 4, 6
_REMEMBERED = 100
"""Streams that are over of which it is known how they ended."""


class Sending:
    """The half of a connection that its owner drives; the other half, `ServerConnection`, is driven
    by what comes."""

    __slots__ = (
        "_frame_size",
        "_initial_window",
        "_is_going_away",
        "_last",
        "_limits",
        "_out",
        "_over",
        "_owes_table_size",
        "_patience",
        "_receive",
        "_send",
        "_streams",
        "_used",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._streams: dict[int, StreamState] = {}
        self._over: dict[int, bool] = {}
        """Streams that are over: is it we who ended it, so that the client may not know yet?"""
        self._last = 0
        """The highest number of a stream that there has been."""
        self._send = self._initial_window = frames.WINDOW
        """What may be sent on all streams together, and on a new one."""
        self._receive, self._used = limits.connection_window, 0
        """What the client may send, and what has been given back without telling it yet."""
        self._frame_size = frames.FRAME_SIZE
        self._patience = Budget(limits.control_frames, limits.control_frames_per_second)
        self._owes_table_size = self._is_going_away = False
        opening = {
            _MAX_STREAMS: limits.streams,
            _INITIAL_WINDOW: limits.stream_window,
            _MAX_HEADER_LIST: limits.header_list,
        }
        grown = frames.window_update(0, limits.connection_window - frames.WINDOW)
        self._out: list[bytes | memoryview] = [frames.settings(opening) + grown]

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._streams)

    def take(self) -> list[bytes | memoryview]:
        """What is to be written, in this order; it is forgotten here."""
        out = self._out
        if out:
            self._out = []
        return out

    def credit(self, stream: int, size: int) -> None:
        """So much of what came has been taken: the client may send it anew."""
        self._used += size
        if self._used >= self._limits.connection_window // 2:
            self._receive += self._used
            self._out.append(frames.window_update(0, self._used))
            self._used = 0
        state = self._streams.get(stream)
        if state is None or state.is_remote_over:
            return
        state.used += size
        if state.used >= self._limits.stream_window // 2:
            state.receive += state.used
            self._out.append(frames.window_update(stream, state.used))
            state.used = 0

    def room(self, stream: int) -> int:
        """How many bytes of data may be sent now."""
        state = self._streams.get(stream)
        return max(0, min(self._send, state.send)) if state else 0

    def send_headers(self, stream: int, block: bytes) -> None:
        """Header fields before any data; `block` is literals of `fields`, less than a frame."""
        self._out.append(frames.headers(stream, self._with_table_size(block), end=False))

    def send_data(self, stream: int, parts: Sequence[bytes | memoryview], size: int) -> None:
        """These bytes, which are `size` together: no more than `room`. They are not copied."""
        state = self._streams[stream]
        state.send -= size
        self._send -= size
        self._patience.earn(earned(size))
        if size <= self._frame_size:
            self._out.append(frames.head(size, frames.DATA, 0, stream))
            self._out.extend(parts)
            return
        for length, pieces in cut(parts, size, self._frame_size):
            self._out.append(frames.head(length, frames.DATA, 0, stream))
            self._out.extend(pieces)

    def finish(self, stream: int, block: bytes) -> None:
        """End the stream with these fields, in the place of all others or behind them."""
        state = self._streams.get(stream)
        if state is None:
            return
        self._out.append(frames.headers(stream, self._with_table_size(block), end=True))
        if state.is_remote_over:
            state.is_local_over = True
            self._forget_if_over(stream, state)
        else:
            # The answer is complete, whatever else the client has to say (RFC 9113, 8.1).
            self.reset(stream, ErrorCode.NO_ERROR)

    def reset(self, stream: int, code: ErrorCode) -> None:
        """Break the stream off."""
        self._out.append(frames.reset(stream, code))
        self._streams.pop(stream, None)
        self._note_over(stream, is_ours=True)

    def go_away(self, code: ErrorCode, words: str = "") -> None:
        """Take no new streams; those that are open may go on."""
        self._is_going_away = True
        self._out.append(frames.go_away(self._last, code, words))

    def ping(self, payload: bytes) -> None:
        """Ask for a sign of life; `payload` is 8 bytes."""
        self._out.append(frames.ping(payload, ack=False))

    def _with_table_size(self, block: bytes) -> bytes:
        if not self._owes_table_size:
            return block
        self._owes_table_size = False
        return fields.NOTHING_REMEMBERED + block

    def _note_over(self, stream: int, *, is_ours: bool) -> None:
        self._over[stream] = is_ours
        if len(self._over) > _REMEMBERED:
            del self._over[next(iter(self._over))]

    def _forget_if_over(self, stream: int, state: StreamState) -> None:
        if state.is_remote_over and state.is_local_over:
            del self._streams[stream]
            self._note_over(stream, is_ours=False)
