"""A connection as a state machine: bytes in, events out, bytes out.

Rule 1: `receive` never raises. What is wrong with a stream ends the stream, what is wrong with the
connection ends it: GOAWAY, and `Over` as the last event.
Rule 2: a header block is decoded even if its stream is refused: the decoder's table is shared.
Rule 3: what brings nothing is paid for from a budget, and so is every broken stream.
Rule 4: the owner never sends more data than `room`, and gives back what it has taken by `credit`.
"""

from __future__ import annotations

from collections.abc import Callable

from pilot_core.http2 import fields, frames
from pilot_core.http2.errors import ConnectionFault, ErrorCode, StreamFault
from pilot_core.http2.events import Data, Event, Fields, Over, Ponged, Request, Reset, WindowOpened
from pilot_core.http2.header_blocks import Blocks
from pilot_core.http2.limits import Budget, Limits
from pilot_core.http2.sending import Sending
from pilot_core.http2.stream import StreamState

_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW, _MAX_FRAME_SIZE = 1, 2, 4, 5
_USUAL_TABLE = 4_096


class ServerConnection(Sending):
    """One client. `now` is seconds on a clock that never goes back."""

    __slots__ = ("_blocks", "_buffer", "_calm", "_now", "_preface", "is_greeted", "is_over")

    def __init__(self, limits: Limits, now: float) -> None:
        super().__init__(limits)
        self._blocks = Blocks(limits)
        self._calm = Budget(limits.resets, limits.resets_per_second)
        self._now = now
        self._buffer = b""
        self._preface = frames.PREFACE
        """What is still to come of it."""
        self.is_greeted = False
        """Has the client said in full that it speaks HTTP/2?"""
        self.is_over = False

    @property
    def is_amid_headers(self) -> bool:
        """Does a header block lack its end?"""
        return self._blocks.is_open

    # Receiving

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take what has come, in whatever pieces."""
        events: list[Event] = []
        if self.is_over:
            return events
        self._now = now
        try:
            self._frames(self._without_preface(data), events)
        except ConnectionFault as fault:
            self._fail(fault, events)
        return events

    def _without_preface(self, data: bytes) -> bytes:
        if not self._preface:
            return self._buffer + data if self._buffer else data
        due = self._preface
        if not data.startswith(due[: len(data)]):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this port speaks gRPC over HTTP/2")
        self._preface = due[len(data) :]
        return data[len(due) :]

    def _frames(self, data: bytes, events: list[Event]) -> None:
        at, size = 0, len(data)
        while size - at >= frames.HEAD_SIZE:
            high, low, kind, flags, stream = frames.read_head(data, at)
            length = high << 16 | low
            if length > frames.FRAME_SIZE:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame of more than 16,384")
            start = at + frames.HEAD_SIZE
            if start + length > size:
                self._check_order(kind, stream & frames.STREAM_BITS)
                break
            at = start + length
            try:
                self._frame(kind, flags, stream & frames.STREAM_BITS, data[start:at], events)
            except StreamFault as fault:
                self._break_off(fault, events)
        self._buffer = data[at:]

    def _frame(
        self, kind: int, flags: int, stream: int, payload: bytes, events: list[Event]
    ) -> None:
        self._check_order(kind, stream)
        if kind < len(_HANDLERS):
            _HANDLERS[kind](self, flags, stream, payload, events)
        else:
            # What is unknown is ignored (RFC 9113, 4.1), but not for ever.
            self._pay("frames of unknown types")

    def _check_order(self, kind: int, stream: int) -> None:
        if not self.is_greeted:
            if kind != frames.SETTINGS:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS have to come first")
            return
        if self._blocks.is_open and (kind != frames.CONTINUATION or stream != self._blocks.stream):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame amid a header block")

    def _on_data(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        size = len(payload)
        self._receive -= size
        if self._receive < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more than the connection's window")
        state = self._streams.get(stream)
        if state is None:
            self._expect_closed(stream, "DATA")
            self.credit(stream, size)
            return
        if flags & frames.PADDED:
            payload = frames.unpadded(payload)
        is_end = bool(flags & frames.END_STREAM)
        if not payload and not is_end:
            self._pay("empty frames")
        fault = self._data_fault(state, size, len(payload), is_end=is_end)
        if fault is not None:
            self.credit(stream, size)
            raise StreamFault(stream, *fault)
        events.append(Data(stream, payload, size, is_end))
        self._forget_if_over(stream, state)

    def _data_fault(
        self, state: StreamState, size: int, length: int, *, is_end: bool
    ) -> tuple[ErrorCode, str] | None:
        if state.is_remote_over:
            return ErrorCode.STREAM_CLOSED, "DATA behind the end"
        state.receive -= size
        if state.receive < 0:
            return ErrorCode.FLOW_CONTROL_ERROR, "more than the stream's window"
        if not state.took(length, is_end=is_end):
            return ErrorCode.PROTOCOL_ERROR, "a body that is not as long as it is said to be"
        return None

    def _on_headers(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        if stream % 2 == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream not the client's")
        self._blocks.start(flags, stream, payload)
        if flags & frames.END_HEADERS:
            self._headers(events)

    def _on_continuation(
        self, flags: int, stream: int, payload: bytes, events: list[Event]
    ) -> None:
        if not self._blocks.is_open:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._blocks.go_on(payload)
        if flags & frames.END_HEADERS:
            self._headers(events)

    def _headers(self, events: list[Event]) -> None:
        """A header block is complete."""
        block = self._blocks.end()
        stream, state = block.stream, self._streams.get(block.stream)
        if block.fault is not None:
            self._last = max(self._last, stream)
            raise block.fault
        if state is not None:
            self._trailers(stream, state, block.fields, is_end=block.is_end)
            events.append(Data(stream, b"", 0, True))
            self._forget_if_over(stream, state)
        elif stream > self._last:
            self._last = stream
            events.append(self._request(stream, block.fields, is_end=block.is_end))
        elif stream in self._over:
            self._expect_closed(stream, "HEADERS")
        else:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a stream's number below the last one")

    def _request(self, stream: int, said: Fields, *, is_end: bool) -> Request:
        if self._is_going_away or len(self._streams) >= self._limits.streams:
            raise StreamFault(stream, ErrorCode.REFUSED_STREAM, "too many streams at a time")
        is_too_long = fields.size(said) > self._limits.header_list
        try:
            fields.check_request(said)
            expected = fields.content_length(said)
        except fields.Malformed as error:
            raise StreamFault(stream, ErrorCode.PROTOCOL_ERROR, str(error)) from None
        if is_end and expected:
            raise StreamFault(stream, ErrorCode.PROTOCOL_ERROR, "no body, but a length of one")
        state = StreamState(
            send=self._initial_window, receive=self._limits.stream_window, expected=expected
        )
        state.is_remote_over = is_end
        self._streams[stream] = state
        return Request(stream, () if is_too_long else said, is_end, is_too_long)

    def _trailers(self, stream: int, state: StreamState, said: Fields, *, is_end: bool) -> None:
        if state.is_remote_over:
            raise StreamFault(stream, ErrorCode.STREAM_CLOSED, "HEADERS behind the end")
        try:
            fields.check_trailers(said)
        except fields.Malformed as error:
            raise StreamFault(stream, ErrorCode.PROTOCOL_ERROR, str(error)) from None
        if not is_end or not state.took(0, is_end=True):
            raise StreamFault(stream, ErrorCode.PROTOCOL_ERROR, "trailers before the end")

    def _on_priority(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        if stream == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY of no stream")
        self._pay("PRIORITY")
        if len(payload) != 5:
            raise StreamFault(stream, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY has 5 bytes")
        if frames.depends_on(payload) == stream:
            raise StreamFault(stream, ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")

    def _on_reset(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        frames.expect_size(payload, 4, "RST_STREAM")
        state = self._streams.pop(stream, None)
        if state is None:
            self._expect_opened(stream, "RST_STREAM")
            self._pay("resets of nothing")
            return
        self._note_over(stream, is_ours=False)
        self._stay_calm()
        code = ErrorCode.of(int.from_bytes(payload, "big"))
        events.append(Reset(stream, code, "the client has broken it off"))

    def _on_settings(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        if stream != 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS of a stream")
        is_ack = bool(flags & frames.ACK)
        if len(payload) % 6 or (is_ack and payload):
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of an impossible size")
        self.is_greeted = True
        self._pay("SETTINGS")
        if is_ack:
            return
        said = frames.read_settings(payload)
        if said.get(_ENABLE_PUSH, 0) > 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH is 0 or 1")
        frame_size = said.get(_MAX_FRAME_SIZE, self._frame_size)
        if not frames.FRAME_SIZE <= frame_size < 1 << 24:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "an impossible SETTINGS_MAX_FRAME_SIZE")
        self._frame_size = frame_size
        self._owes_table_size |= said.get(_HEADER_TABLE_SIZE, _USUAL_TABLE) < _USUAL_TABLE
        if _INITIAL_WINDOW in said:
            self._resize_windows(said[_INITIAL_WINDOW], events)
        self._out.append(frames.SETTINGS_ACK)

    def _resize_windows(self, size: int, events: list[Event]) -> None:
        more, self._initial_window = size - self._initial_window, size
        largest = max((state.send for state in self._streams.values()), default=0)
        if max(size, largest + more) > frames.LARGEST_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
        for state in self._streams.values():
            state.send += more
        if more > 0:
            events.append(WindowOpened(0))

    def _on_push(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client cannot push")

    def _on_ping(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        if stream != 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PING of a stream")
        frames.expect_size(payload, 8, "PING")
        self._pay("PING")
        if flags & frames.ACK:
            events.append(Ponged(payload))
        else:
            self._out.append(frames.ping(payload, ack=True))

    def _on_go_away(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        if stream != 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "GOAWAY of a stream")
        if len(payload) < 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY has 8 bytes at least")
        # The client will accept no streams of ours: there are none.
        self._pay("GOAWAY")

    def _on_window(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        frames.expect_size(payload, 4, "WINDOW_UPDATE")
        self._pay("WINDOW_UPDATE")
        more = int.from_bytes(payload, "big") & frames.STREAM_BITS
        if stream == 0:
            self._send += more
            if more == 0 or self._send > frames.LARGEST_WINDOW:
                raise ConnectionFault(_window_code(more), "an impossible WINDOW_UPDATE")
        else:
            state = self._streams.get(stream)
            if state is None:
                self._expect_opened(stream, "WINDOW_UPDATE")
                return
            state.send += more
            if more == 0 or state.send > frames.LARGEST_WINDOW:
                raise StreamFault(stream, _window_code(more), "an impossible WINDOW_UPDATE")
        events.append(WindowOpened(stream))

    # What is over, and what is too much

    def _fail(self, fault: ConnectionFault, events: list[Event]) -> None:
        words = str(fault)
        self.go_away(fault.code, words)
        self._streams.clear()
        self._buffer = b""
        self.is_over = True
        events.append(Over(fault.code, words))

    def _break_off(self, fault: StreamFault, events: list[Event]) -> None:
        is_known = fault.stream in self._streams
        self.reset(fault.stream, fault.code)
        if is_known:
            events.append(Reset(fault.stream, fault.code, str(fault)))
        self._stay_calm()

    def _pay(self, what: str) -> None:
        if not self._patience.spend(self._now):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"too many {what}")

    def _stay_calm(self) -> None:
        if not self._calm.spend(self._now):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many streams broken off")

    def _expect_opened(self, stream: int, kind: str) -> None:
        if stream == 0 or stream > self._last or stream % 2 == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{kind} of a stream that is idle")

    def _expect_closed(self, stream: int, kind: str) -> None:
        """In order only where the client cannot know yet that the stream is over."""
        self._expect_opened(stream, kind)
        if not self._over.get(stream, False):
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"{kind} of a stream that is over")


def _window_code(more: int) -> ErrorCode:
    return ErrorCode.FLOW_CONTROL_ERROR if more else ErrorCode.PROTOCOL_ERROR


_Handler = Callable[[ServerConnection, int, int, bytes, list[Event]], None]
_HANDLERS: tuple[_Handler, ...] = (
    ServerConnection._on_data,
    ServerConnection._on_headers,
    ServerConnection._on_priority,
    ServerConnection._on_reset,
    ServerConnection._on_settings,
    ServerConnection._on_push,
    ServerConnection._on_ping,
    ServerConnection._on_go_away,
    ServerConnection._on_window,
    ServerConnection._on_continuation,
)
"""By the type of frame."""
