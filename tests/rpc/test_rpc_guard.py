"""Calls that are served only when it is known who calls."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from http2_talk import frame
from mesh import until
from pilot_core.http2 import frames
from pilot_core.http2.errors import ErrorCode
from pilot_core.rpc.guard import guarded
from pilot_core.rpc.status import Abort, Code
from rpc_server import PATH, channel, message, serving, wire


class Answering:
    """Answers each message with the name of who has sent it."""

    is_full = False

    def __init__(self, call, name):
        self.call, self.name = call, name
        self.heard = []

    def message(self, data):
        self.heard.append(data)
        self.call.send(self.name, b": ", data)

    def ended(self):
        self.call.finish()

    def ready(self):
        """Its answers are small."""

    def lost(self, words):
        self.name = b""


async def test_what_comes_before_it_is_known_who_calls_is_answered_then():
    known = asyncio.Event()

    async def prove(call):
        await known.wait()
        return call.metadata["name"].encode()

    async with serving(guarded(prove, Answering)) as server, channel(server) as client:
        call = client.stream_stream(PATH)(metadata=(("name", "me"),))
        await call.write(b"one")
        await call.write(b"two")
        await call.done_writing()
        known.set()
        assert [b"me: one", b"me: two"] == [answer async for answer in call]
        assert grpc.StatusCode.OK is await call.code()


async def test_a_large_request_goes_on_when_it_is_known_who_calls():
    known = asyncio.Event()

    async def prove(_call):
        await known.wait()
        return b"x"

    async with serving(guarded(prove, Answering)) as server, channel(server) as client:
        call = client.stream_stream(PATH)()
        writing = asyncio.create_task(call.write(bytes(2_000_000)))
        await asyncio.wait([writing], timeout=0.2)
        known.set()
        async with asyncio.timeout(20):
            await writing
            assert 2_000_003 == len(await call.read())


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (Abort(Code.UNAUTHENTICATED, "who?"), grpc.StatusCode.UNAUTHENTICATED, "who?"),
        (ValueError("secret"), grpc.StatusCode.INTERNAL, "the server has failed"),
    ],
)
async def test_who_is_turned_away_is_told_so(error, code, words):
    async def prove(_call):
        raise error

    async with serving(guarded(prove, Answering)) as server, channel(server) as client:
        call = client.stream_stream(PATH)()
        assert (code, words) == (await call.code(), await call.details())


async def test_who_goes_before_it_is_known_who_it_was_is_forgotten():
    begun, ended = asyncio.Event(), asyncio.Event()

    async def prove(_call):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(guarded(prove, Answering)) as server, wire(server.address) as client:
        await client.open(1)
        await client.say(frame(frames.DATA, 0, 1, message(b"hello")))
        async with asyncio.timeout(20):
            await begun.wait()
            await client.say(frame(frames.RST_STREAM, 0, 1, ErrorCode.CANCEL.to_bytes(4, "big")))
            await ended.wait()

        async def look():
            return not [c for s in server._sessions for c in s._calls]

        await until(look, "the call to be over")
