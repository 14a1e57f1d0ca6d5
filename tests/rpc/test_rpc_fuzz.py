"""Whatever comes on a connection: never an exception, and no call that is left behind."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

import http2_talk
from http2_talk import WHOLE, block, frame
from pilot_core.clock import SystemClock
from pilot_core.http2 import frames
from pilot_core.rpc.call import Method
from pilot_core.rpc.handlers import stream
from pilot_core.rpc.server import Server
from pilot_core.rpc.session import Session
from rpc_server import PATH, fields, message

OPENING = frames.PREFACE + http2_talk.settings()
streams = st.sampled_from([1, 3, 5, 7])
paths = st.sampled_from([PATH, "/x/Echo", "/no/Body"])
bodies = st.one_of(
    st.binary(max_size=30),
    st.builds(message, st.binary(max_size=20), st.sampled_from([0, 0, 0, 1])),
    st.just((1 << 30).to_bytes(5, "big")),
)
more = st.sampled_from([(), (("grpc-timeout", "1n"),), ((":method", "GET"),), (("te", "x"),)])
said_by_clients = st.one_of(
    st.builds(
        lambda s, p, m, end: frame(frames.HEADERS, WHOLE | end, s, block(fields(p, *m))),
        streams,
        paths,
        more,
        st.integers(0, 1),
    ),
    st.builds(lambda s, d, end: frame(frames.DATA, end, s, d), streams, bodies, st.integers(0, 1)),
    st.builds(lambda s: frame(frames.RST_STREAM, 0, s, bytes(4)), streams),
    st.builds(lambda s, n: http2_talk.window(s, n), streams, st.integers(0, 2**31 - 1)),
    st.builds(lambda n: http2_talk.settings({4: n}), st.integers(0, 2**32 - 1)),
    st.builds(frame, st.integers(0, 10), st.integers(0, 255), streams, st.binary(max_size=20)),
)


class Socket(asyncio.Transport):
    """What a session writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 4711) if name == "peername" else default

    def write(self, data):
        self.written += data

    def write_eof(self):
        self.is_closed = True

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0

    def abort(self):
        self.is_closed = True


class Echo:
    """A receiver that answers at once, where it can."""

    is_full = False

    def __init__(self, call):
        self.call, self.is_over = call, False

    def message(self, data):
        assert not self.is_over
        if self.call.is_ready():
            self.call.send(data, b"!")

    def ended(self):
        self.call.finish()

    def ready(self):
        assert not self.is_over

    def lost(self, words):
        assert not self.is_over
        self.is_over = True


async def slow_echo(call):
    while (request := await call.receive()) is not None:
        await call.send(request)


async def talk(said, cuts):
    methods = {PATH: Method(Echo), "/x/Echo": stream(slow_echo)}
    session, socket = Session(Server("127.0.0.1:0", methods, clock=SystemClock())), Socket()
    session.connection_made(socket)
    data, at, turn = OPENING + b"".join(said), 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        session.data_received(data[at : at + size])
        at, turn = at + size, turn + 1
        for _ in range(3):
            await asyncio.sleep(0)
    is_over = session.http2.is_over
    assert is_over == socket.is_closed
    heard = http2_talk.parse(socket.written)
    assert b"the server has failed" not in socket.written
    assert is_over == (frames.GOAWAY in [f.kind for f in heard])
    if not is_over:
        assert len(session._calls) == session.http2.streams
    session.connection_lost(None)
    await asyncio.sleep(0)
    assert not session._calls
    assert not session._held


@settings(max_examples=150, deadline=None)
@given(
    st.lists(said_by_clients, max_size=20),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_no_client_is_too_much(said, cuts):
    asyncio.run(talk(said, cuts))
