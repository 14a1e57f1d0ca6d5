"""TLS: certificates that clients may show, and those of the server, which change while it runs."""

from __future__ import annotations

import asyncio
import ssl

import grpc
import pytest
from cryptography import x509
from grpc import aio

from consul_tls import Authority
from mesh import until
from pilot_core.http2 import frames
from pilot_core.rpc.handlers import stream, unary
from pilot_core.rpc.limits import ServerLimits
from pilot_core.rpc.tls import server_context
from pilot_core.testing import FakeClock
from rpc_server import PATH, serving, wire

NAME = "server.test"
BIG = bytes(range(256)) * 8_000


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def source(authority, *, is_required=False, name=NAME):
    """What a server shows now."""
    pair = authority.issue(name)
    made = server_context(pair.cert, pair.key, ca_file=authority.file, is_required=is_required)
    return lambda: made


async def who(request, call):
    shown = call.peer.certificate
    return x509.load_der_x509_certificate(shown).subject.rfc4514_string().encode() if shown else b""


async def echo(call):
    while (request := await call.receive()) is not None:
        await call.send(request)


def channel(server, authority, name=None, target=NAME):
    pair = authority.issue(name) if name else None
    credentials = grpc.ssl_channel_credentials(
        authority.file.read_bytes(),
        pair.key.read_bytes() if pair else None,
        pair.cert.read_bytes() if pair else None,
    )
    options = [
        ("grpc.ssl_target_name_override", target),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", -1),
    ]
    return aio.secure_channel(server.address, credentials, options=options)


async def test_a_certificate_may_be_shown_and_need_not(authority):
    async with serving(unary(who), tls=source(authority)) as server:
        async with channel(server, authority) as client:
            assert b"" == await client.unary_unary(PATH)(b"")
        async with channel(server, authority, "me.test") as client:
            assert b"CN=me.test" == await client.unary_unary(PATH)(b"")


async def test_a_certificate_that_nobody_signed_is_refused(authority, tmp_path_factory):
    stranger = Authority(tmp_path_factory.mktemp("stranger"))
    pair = stranger.issue("me.test")
    async with serving(unary(who), tls=source(authority)) as server:
        credentials = grpc.ssl_channel_credentials(
            authority.file.read_bytes(), pair.key.read_bytes(), pair.cert.read_bytes()
        )
        options = [("grpc.ssl_target_name_override", NAME)]
        async with aio.secure_channel(server.address, credentials, options=options) as client:
            with pytest.raises(grpc.RpcError) as raised:
                await client.unary_unary(PATH)(b"", timeout=15)
        assert grpc.StatusCode.UNAVAILABLE is raised.value.code()


async def test_where_a_certificate_is_required_nobody_calls_without(authority):
    async with serving(unary(who), tls=source(authority, is_required=True)) as server:
        async with channel(server, authority) as client:
            with pytest.raises(grpc.RpcError) as raised:
                await client.unary_unary(PATH)(b"", timeout=15)
        assert grpc.StatusCode.UNAVAILABLE is raised.value.code()
        async with channel(server, authority, "me.test") as client:
            assert b"CN=me.test" == await client.unary_unary(PATH)(b"")


async def test_large_messages_go_both_ways(authority):
    async with (
        serving(stream(echo), tls=source(authority)) as server,
        channel(server, authority) as client,
    ):
        call = client.stream_stream(PATH)()
        for _ in range(2):
            await call.write(BIG)
            assert BIG == await call.read()
        await call.done_writing()
        assert grpc.StatusCode.OK is await call.code()


async def test_a_new_certificate_is_shown_to_the_next_connection_and_ends_none(authority):
    current = [source(authority, name="old.test")]
    async with (
        serving(stream(echo), tls=lambda: current[0]()) as server,
        channel(server, authority, target="old.test") as old,
    ):
        call = old.stream_stream(PATH)()
        await call.write(b"a")
        assert b"a" == await call.read()
        current[0] = source(authority, name="new.test")
        async with channel(server, authority, target="new.test") as new:
            other = new.stream_stream(PATH)()
            await other.write(b"b")
            assert b"b" == await other.read()
        await call.write(b"c")
        assert b"c" == await call.read()


def client_context(authority, *protocols):
    made = ssl.create_default_context(cafile=str(authority.file))
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
async def test_who_does_not_offer_http2_is_closed(authority, protocols):
    offered = client_context(authority, *protocols)
    async with (
        serving(unary(who), tls=source(authority)) as server,
        wire(server.address, greets=False, ssl=offered, server_hostname=NAME) as client,
    ):
        assert await client.is_closed()


async def test_no_session_can_be_taken_up_again(authority):
    offered = client_context(authority, "h2")
    async with (
        serving(unary(who), tls=source(authority)) as server,
        wire(server.address, ssl=offered, server_hostname=NAME) as client,
    ):
        await client.hear(frames.SETTINGS)
        shaken = client.writer.get_extra_info("ssl_object")
        assert ("h2", "TLSv1.3") == (shaken.selected_alpn_protocol(), shaken.version())
        assert not (shaken.session and shaken.session.has_ticket)


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", frames.PREFACE, bytes(4_096)])
async def test_what_is_no_tls_is_closed_at_once(authority, said):
    async with (
        serving(unary(who), tls=source(authority)) as server,
        wire(server.address, greets=False) as client,
    ):
        await client.say(said)
        assert await client.is_closed()


async def test_a_handshake_that_is_not_completed_is_cut_off(authority):
    clock = FakeClock()
    async with (
        serving(unary(who), tls=source(authority), clock=clock) as server,
        wire(server.address, greets=False) as client,
    ):
        await client.say(b"\x16\x03\x01\x02\x00\x01")

        async def look():
            return server._sessions

        await until(look, "the session")
        await clock.advance(ServerLimits().handshake + 2)
        assert await client.is_closed()


async def test_a_source_that_has_no_context_hurts_nobody_else(authority, caplog):
    good = source(authority)
    sources = [good]

    def fails():
        raise OSError("no key")

    async with serving(unary(who), tls=lambda: sources[0]()) as server:
        async with channel(server, authority) as client:
            await client.unary_unary(PATH)(b"")
            sources[0] = fails
            async with wire(server.address, greets=False) as refused:
                assert await refused.is_closed()
            assert b"" == await client.unary_unary(PATH)(b"")
        sources[0] = good
        async with channel(server, authority) as client:
            assert b"" == await client.unary_unary(PATH)(b"")
    assert "there is no context for TLS" in caplog.text


async def test_a_client_that_says_goodbye_is_let_go(authority):
    offered = client_context(authority, "h2")
    async with serving(unary(who), tls=source(authority)) as server:
        async with wire(server.address, ssl=offered, server_hostname=NAME) as client:
            await client.hear(frames.SETTINGS)

        async def look():
            return not server._sessions

        await until(look, "the session to end")


async def test_a_server_that_drains_says_so_within_tls(authority):
    offered = client_context(authority, "h2")
    async with (
        serving(stream(echo), tls=source(authority)) as server,
        wire(server.address, ssl=offered, server_hostname=NAME) as client,
    ):
        await client.open(1)
        await client.say(b"")
        await client.hear(frames.SETTINGS)
        draining = asyncio.create_task(server.drain(0.05))
        assert b"the server is about to stop" == (await client.hear(frames.GOAWAY)).payload[8:]
        async with asyncio.timeout(20):
            await draining
