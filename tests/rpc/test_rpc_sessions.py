"""Connections: who is let in, who is cut off, and how a server takes its leave."""

from __future__ import annotations

import asyncio
import socket

import pytest

from http2_talk import frame, headers, settings
from mesh import until
from pilot_core.http2 import frames
from pilot_core.http2.errors import ErrorCode
from pilot_core.http2.limits import Limits
from pilot_core.rpc.handlers import stream
from pilot_core.rpc.limits import Cut, ServerLimits
from pilot_core.rpc.status import Code
from pilot_core.testing import FakeClock
from rpc_server import PATH, fields, message, serving, wire

LIMITS = ServerLimits()
PING = bytes(8)
ENDS = frames.END_HEADERS | frames.END_STREAM


async def echo(call):
    while (request := await call.receive()) is not None:
        await call.send(request)


async def nothing(call):
    await call.receive()
    await asyncio.Event().wait()


def there(value):
    async def look():
        return value()

    return look


async def sessions(server, count):
    await until(there(lambda: count == len(server._sessions)), f"{count} sessions")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        frames.PREFACE[:10],
        frames.PREFACE,
        frames.PREFACE + settings()[:5],
    ],
)
async def test_who_does_not_say_what_it_wants_is_cut_off(said):
    clock, told = FakeClock(), []
    async with (
        serving(stream(echo), clock=clock, on_cut=told.append) as server,
        wire(server.address, greets=False) as client,
    ):
        await client.say(said)
        await sessions(server, 1)
        await clock.advance(LIMITS.handshake)
        assert 1 == len(server._sessions)
        await clock.advance(2)
        assert await client.is_closed()
        await sessions(server, 0)
    assert [Cut.HANDSHAKE] == told


async def test_header_fields_that_are_never_completed_end_the_connection():
    clock = FakeClock()
    async with serving(stream(echo), clock=clock) as server, wire(server.address) as client:
        await client.say(frame(frames.PING, 0, 0, PING), headers(1, flags=0))
        await client.hear(frames.PING)
        await clock.advance(LIMITS.handshake + 3)
        assert await client.is_closed()


async def test_who_is_silent_is_asked_for_a_sign_and_cut_off_without_one():
    clock = FakeClock()
    async with serving(stream(nothing), clock=clock) as server, wire(server.address) as client:
        await client.open(1)
        await sessions(server, 1)
        await client.say(frame(frames.PING, 0, 0, PING))
        await client.hear(frames.PING)
        for _ in range(3):
            await clock.advance(LIMITS.silence + 2)
            asked = await client.hear(frames.PING)
            assert 0 == asked.flags
            await client.say(frame(frames.PING, frames.ACK, 0, asked.payload))
            await client.say(frame(frames.PING, 0, 0, PING))
            await client.hear(frames.PING)
        await clock.advance(LIMITS.silence + 2)
        await client.hear(frames.PING)
        await clock.advance(LIMITS.answer + 2)
        assert await client.is_closed()
        # A dead peer is noticed within a minute.
        assert 60 > LIMITS.silence + LIMITS.answer + 4


async def test_a_client_that_takes_nothing_is_cut_off_and_named(caplog):
    caplog.set_level("WARNING")
    clock, told = FakeClock(), []
    async with (
        serving(stream(echo), clock=clock, on_cut=told.append) as server,
        wire(server.address) as client,
    ):
        await client.open(1)
        # Its window for the answer is 64 KB, and is never opened again.
        whole = message(bytes(70_000))
        for at in range(0, len(whole), 16_000):
            await client.say(frame(frames.DATA, 0, 1, whole[at : at + 16_000]))
        await until(there(lambda: _writing(server)), "an answer that is not taken")
        await clock.advance(LIMITS.taking - 2)
        assert 1 == len(server._sessions)
        # It is not silent: it answers for being there, and takes nothing all the same.
        await client.say(frame(frames.PING, 0, 0, PING))
        await client.hear(frames.PING)
        await clock.advance(4)
        assert await client.is_closed()
    assert ([Cut.NOT_READING], True) == (told, "does not read" in caplog.text)


def _writing(server):
    return [c for s in server._sessions for c in s._calls.values() if c.writing_since]


async def test_who_does_not_read_the_answers_is_not_listened_to_until_he_does():
    """Answers would pile up: what is not taken is bounded, whatever is asked for."""
    count, loop = 12_000, asyncio.get_running_loop()
    asked = b"".join(headers(2 * n + 1, fields("/no/Body"), flags=ENDS) for n in range(count))
    async with serving({}, limits=ServerLimits(http2=Limits(streams=count))) as server:
        host, _, port = server.address.rpartition(":")
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            client.setblocking(False)
            await loop.sock_connect(client, (host, int(port)))
            await sessions(server, 1)
            (session,) = server._sessions
            session._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384
            )
            greeting = frames.PREFACE + settings()
            saying = asyncio.create_task(loop.sock_sendall(client, greeting + asked))
            await until(there(lambda: _not_read_from(server)), "the server to stop reading")
            assert all(size < 1 << 20 for size in _not_read_from(server))
            heard = bytearray()
            async with asyncio.timeout(60):
                while heard.count(b"nobody serves") < count:
                    heard += await loop.sock_recv(client, 1 << 20)
                await saying


def _not_read_from(server):
    """What is still to be written to those."""
    transports = [s._transport for s in server._sessions]
    return [t.get_write_buffer_size() for t in transports if not t.is_reading()]


async def test_messages_that_are_never_complete_are_bounded_for_a_connection():
    limits = ServerLimits(partial=100_000)
    async with serving(stream(echo), limits=limits) as server, wire(server.address) as client:
        for number in range(1, 21, 2):
            await client.open(number)
            part = message(bytes(1_000_000))[:16_000]
            await client.say(frame(frames.DATA, 0, number, part))
        refused = await client.fields(13)
        assert str(int(Code.RESOURCE_EXHAUSTED)) == refused["grpc-status"]
        (session,) = server._sessions
        assert session._held <= limits.partial
        await client.say(*(frame(frames.RST_STREAM, 0, n, bytes(4)) for n in range(1, 12, 2)))
        await client.say(frame(frames.PING, 0, 0, PING))
        await client.hear(frames.PING)
        assert 0 == session._held


async def test_no_address_may_have_more_than_its_share_of_the_connections(caplog):
    limits = ServerLimits(connections=6, share_of_a_host=0.5)
    async with serving(stream(echo), limits=limits) as server:
        async with wire(server.address), wire(server.address), wire(server.address):
            await sessions(server, 3)
            async with wire(server.address, greets=False) as fourth:
                assert await fourth.is_closed()
            async with wire(server.address, local_addr=("127.0.0.2", 0)) as other:
                await other.hear(frames.SETTINGS)
            assert "too many connections" in caplog.text
        await sessions(server, 0)
        async with wire(server.address) as again:
            await again.hear(frames.SETTINGS)
    assert not server._by_host


async def test_there_are_no_more_connections_than_there_may_be():
    limits = ServerLimits(connections=2, share_of_a_host=1.0)
    async with (
        serving(stream(echo), limits=limits) as server,
        wire(server.address),
        wire(server.address),
    ):
        await sessions(server, 2)
        async with wire(server.address, greets=False) as third:
            assert await third.is_closed()


async def test_draining_ends_calls_with_words_and_says_goodbye():
    async with serving(stream(nothing)) as server, wire(server.address) as client:
        await client.open(1)
        await until(there(lambda: _calls(server)), "the call")
        draining = asyncio.create_task(server.drain(0.1))
        said = await client.fields(1)
        assert ("14", "the server is about to stop") == (said["grpc-status"], said["grpc-message"])
        goodbye = await client.hear(frames.GOAWAY)
        assert (1, ErrorCode.NO_ERROR) == (
            int.from_bytes(goodbye.payload[:4], "big"),
            int.from_bytes(goodbye.payload[4:8], "big"),
        )
        assert await client.is_closed()
        async with asyncio.timeout(20):
            await draining


def _calls(server):
    return [call for session in server._sessions for call in session._calls.values()]


async def test_while_it_drains_new_calls_are_turned_away():
    async with serving(stream(nothing)) as server, wire(server.address) as client:
        await sessions(server, 1)
        server.is_draining = True
        await client.open(1)
        said = await client.fields(1)
        assert ("14", True) == (said["grpc-status"], "draining" in said["grpc-message"])


async def test_what_breaks_the_protocol_is_told_why_before_the_connection_is_closed():
    async with serving(stream(echo)) as server, wire(server.address) as client:
        await client.say(frame(frames.DATA, 0, 0, b"x"))
        goodbye = await client.hear(frames.GOAWAY)
        assert b"DATA of a stream that is idle" == goodbye.payload[8:]
        assert await client.is_closed()


async def test_a_server_that_stops_cuts_everybody_off():
    async with serving({PATH: stream(nothing)}) as server, wire(server.address) as client:
        await client.open(1)
        await sessions(server, 1)
        await server.stop()
        assert await client.is_closed()
        with pytest.raises(OSError):
            await asyncio.open_connection(*server.address.rsplit(":", 1))


async def test_an_address_that_cannot_be_had_is_an_error_that_names_it():
    async with serving(stream(echo)) as server:
        second = type(server)(server.address, {}, clock=FakeClock())
        with pytest.raises(OSError, match=f"cannot listen on {server.address}"):
            await second.start()
