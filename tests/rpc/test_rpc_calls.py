"""Calls by gRPC's own client, and by one that breaks the rules of gRPC."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from http2_talk import frame
from mesh import until
from pilot_core.http2 import frames
from pilot_core.http2.errors import ErrorCode
from pilot_core.rpc.handlers import stream, unary
from pilot_core.rpc.status import Abort, Code
from rpc_server import PATH, channel, message, serving, wire

ENDS = frames.END_STREAM


async def upper(request, _call):
    return request.upper()


async def echo(call):
    while (request := await call.receive()) is not None:
        await call.send(request)


def raises(error):
    async def handler(_request, _call):
        raise error

    return unary(handler)


def there(value):
    async def look():
        return value()

    return look


async def status(call):
    with pytest.raises(grpc.RpcError) as raised:
        await call
    return raised.value.code(), raised.value.details()


async def test_a_unary_call_is_answered():
    async with serving(unary(upper)) as server, channel(server) as client:
        assert b"HELLO" == await client.unary_unary(PATH)(b"hello")
        assert b"" == await client.unary_unary(PATH)(b"")


@pytest.mark.parametrize("size", [16_379, 16_380, 65_530, 70_000, 3_000_000])
async def test_messages_of_any_size_go_through_whatever_the_windows(size):
    whole = bytes(range(256)) * (size // 256) + bytes(size % 256)
    options = {"grpc.max_receive_message_length": -1, "grpc.http2.bdp_probe": 0}
    async with serving(stream(echo)) as server, channel(server, **options) as client:
        call = client.stream_stream(PATH)()
        for _ in range(3):
            await call.write(whole)
            assert whole == await call.read()
        await call.done_writing()
        assert grpc.StatusCode.OK is await call.code()


async def test_many_calls_share_a_connection():
    methods = {PATH: unary(upper), "/x/Echo": stream(echo)}
    async with serving(methods) as server, channel(server) as client:
        calls = [client.unary_unary(PATH)(b"x%d" % n) for n in range(300)]
        streams = [client.stream_stream("/x/Echo")() for _ in range(20)]
        for number, call in enumerate(streams):
            await call.write(b"%d" % number)
        assert [b"X%d" % n for n in range(300)] == [await call for call in calls]
        for number, call in enumerate(streams):
            assert b"%d" % number == await call.read()


async def test_a_handler_sees_who_calls_and_what_comes_along():
    seen = []

    async def look(request, call):
        seen.append((call.path, call.peer, call.metadata))
        return request

    async with serving(unary(look)) as server, channel(server) as client:
        said = (("authorization", "Bearer abc"), ("twice", "a"), ("twice", "b"))
        await client.unary_unary(PATH)(b"", metadata=said)
    ((path, peer, metadata),) = seen
    assert (PATH, None, "127.0.0.1") == (path, peer.certificate, peer.host)
    assert ("Bearer abc", "b") == (metadata["authorization"], metadata["twice"])
    assert not [name for name in metadata if name.startswith(":")]


async def test_an_abort_is_told_with_its_words():
    words = "not this: 100 % of \N{GREEK SMALL LETTER ALPHA}\n" + "x" * 500
    async with serving(raises(Abort(Code.NOT_FOUND, words))) as server, channel(server) as client:
        assert (grpc.StatusCode.NOT_FOUND, words) == await status(client.unary_unary(PATH)(b""))


async def test_a_handler_that_fails_is_an_internal_error_without_its_words(caplog):
    failing = raises(ValueError("secret"))
    async with serving(failing) as server, channel(server) as client:
        code, words = await status(client.unary_unary(PATH)(b""))
    assert (grpc.StatusCode.INTERNAL, "the server has failed") == (code, words)
    assert "secret" in caplog.text


async def test_a_path_that_nobody_serves_is_unimplemented():
    async with serving({}) as server, channel(server) as client:
        code, words = await status(client.unary_unary("/no/Body")(b""))
        assert (grpc.StatusCode.UNIMPLEMENTED, "nobody serves /no/Body") == (code, words)


async def test_a_message_that_is_larger_than_the_method_takes_is_refused():
    async with serving(unary(upper, max_message=100)) as server, channel(server) as client:
        assert b"X" * 100 == await client.unary_unary(PATH)(b"x" * 100)
        code, words = await status(client.unary_unary(PATH)(b"x" * 101))
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is code
        assert "101 bytes, where 100 are taken" in words


async def test_compressed_messages_are_refused_with_words():
    async with serving(unary(upper)) as server, channel(server) as client:
        call = client.unary_unary(PATH)(b"x" * 1_000, compression=grpc.Compression.Gzip)
        code, words = await status(call)
        assert (grpc.StatusCode.UNIMPLEMENTED, True) == (code, "compressed" in words)


async def test_a_call_that_its_client_gives_up_cancels_its_handler():
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(_call):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(stream(wait)) as server, channel(server) as client:
        call = client.stream_stream(PATH)()
        async with asyncio.timeout(20):
            await begun.wait()
            call.cancel()
            await ended.wait()


async def test_the_clients_deadline_ends_the_call_at_the_server_too():
    ended = asyncio.Event()

    async def wait(_call):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(stream(wait)) as server, wire(server.address) as client:
        await client.open(1, PATH, ("grpc-timeout", "50m"))
        async with asyncio.timeout(20):
            await ended.wait()
        said = await client.fields(1)
        assert str(int(Code.DEADLINE_EXCEEDED)) == said["grpc-status"]


@pytest.mark.parametrize("said", ["", "5", "S", "-5S", "5x", "123456789S"])
async def test_a_deadline_that_is_none_is_told(said):
    async with serving(stream(echo)) as server, wire(server.address) as client:
        await client.open(1, PATH, ("grpc-timeout", said))
        heard = await client.fields(1)
        assert str(int(Code.INTERNAL)) == heard["grpc-status"]
        assert "grpc-timeout" in heard["grpc-message"]


@pytest.mark.parametrize(
    ("more", "http_status"),
    [
        ((":method", "GET"), "405"),
        (("content-type", "application/json"), "415"),
        (("content-type", ""), "415"),
    ],
)
async def test_what_is_no_grpc_is_told_so_in_http(more, http_status):
    async with serving(stream(echo)) as server, wire(server.address) as client:
        await client.open(1, PATH, more)
        assert http_status == (await client.fields(1))[":status"]


async def test_header_fields_that_are_too_many_are_refused_with_their_call_alone():
    async with serving(stream(echo)) as server, channel(server) as client:
        code, _ = await status(client.unary_unary(PATH)(b"", metadata=(("x", "y" * 15_900),)))
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is code
        assert b"x" == await client.unary_unary(PATH)(b"x")


async def test_a_unary_call_has_one_request():
    async with serving(unary(upper)) as server, wire(server.address) as client:
        await client.open(1)
        await client.say(frame(frames.DATA, ENDS, 1, message(b"a") + message(b"b")))
        assert str(int(Code.INVALID_ARGUMENT)) == (await client.fields(1))["grpc-status"]
        await client.open(3)
        await client.say(frame(frames.DATA, ENDS, 3))
        assert str(int(Code.INVALID_ARGUMENT)) == (await client.fields(3))["grpc-status"]


async def test_a_request_that_ends_amid_a_message_is_told_so():
    async with serving(stream(echo)) as server, wire(server.address) as client:
        await client.open(1)
        await client.say(frame(frames.DATA, ENDS, 1, message(b"abc")[:-1]))
        assert str(int(Code.INTERNAL)) == (await client.fields(1))["grpc-status"]


async def test_messages_in_any_pieces_are_put_together():
    said = message(b"abc") + message(b"") + message(b"x" * 300)
    async with serving(stream(echo)) as server, wire(server.address) as client:
        await client.open(1)
        await client.say(*(frame(frames.DATA, 0, 1, said[n : n + 1]) for n in range(len(said))))
        heard = b""
        while len(heard) < len(said):
            heard += (await client.hear(frames.DATA)).payload
        assert said == heard


async def test_a_client_sends_no_more_than_a_handler_takes():
    """What comes in vain fills the stream's window, and no more is let in."""
    release = asyncio.Event()
    seen = []

    async def slow(call):
        seen.append(call)
        await release.wait()
        await echo(call)

    async with serving(stream(slow)) as server, channel(server) as client:
        call = client.stream_stream(PATH)()

        async def write():
            for _ in range(40):
                await call.write(bytes(30_000))
            await call.done_writing()

        writing = asyncio.create_task(write())
        await until(there(lambda: seen and seen[0]._size > 200_000), "the window to be full")
        assert not writing.done()
        assert seen[0]._size <= (256 << 10)
        release.set()
        async with asyncio.timeout(20):
            heard = [len(message) async for message in call]
        assert [30_000] * 40 == heard


async def test_a_client_that_resets_its_call_is_let_go_and_may_call_again():
    async with serving(stream(echo)) as server, wire(server.address) as client:
        await client.open(1)
        await client.say(frame(frames.RST_STREAM, 0, 1, ErrorCode.CANCEL.to_bytes(4, "big")))
        await client.open(3)
        await client.say(frame(frames.DATA, ENDS, 3, message(b"hi")))
        assert message(b"hi") == (await client.hear(frames.DATA)).payload
