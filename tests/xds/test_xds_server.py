"""The server on a real socket: streams, their ends, and what no client should have sent."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from mesh import until
from pilot_core.testing import FakeClock
from pilot_xds.stream import PATIENCE
from pilot_xds.types import Variant
from xds_messages import CDS, EDS, LDS, RDS, delta, node, sotw
from xds_server import Client, serving

both = pytest.mark.parametrize("variant", [Variant.DELTA, Variant.SOTW])
REVIEWS = "outbound|80||reviews.shop.mesh"
ME = "sidecar~10.0.0.9~web.shop~mesh"


def there(value):
    async def look():
        return value()

    return look


@both
async def test_a_client_gets_what_there_is_and_every_change(variant):
    async with serving(None, "reviews.shop.mesh") as server, Client(server.address, variant) as me:
        await me.ask(CDS, id=ME)
        clusters = await me.hear()
        assert REVIEWS in clusters.names
        await me.answer(clusters)
        await me.ask(EDS, REVIEWS)
        endpoints = await me.hear()
        assert (REVIEWS,) == endpoints.names
        await me.answer(endpoints, REVIEWS)
        server.put("reviews.shop.mesh", endpoints=("10.0.0.1", "10.0.0.2"))
        changed = await me.hear()
        assert (EDS, (REVIEWS,)) == (changed.type, changed.names)
        await me.answer(changed, REVIEWS)
        server.put("ratings.shop.mesh")
        added = await me.hear()
        assert CDS is added.type
        assert "outbound|80||ratings.shop.mesh" in added.names
        assert ("outbound|80||ratings.shop.mesh",) == (await me.hear()).names


@both
async def test_nothing_is_handed_out_before_the_fleet_is_open(variant):
    async with (
        serving(None, "reviews.shop.mesh", is_open=False) as server,
        Client(server.address, variant) as me,
    ):
        await me.ask(CDS, id=ME)
        await until(there(lambda: server.fleet.connections), "the client to have joined")
        server.put("ratings.shop.mesh")
        (connection,) = server.fleet.connections
        assert None is connection.next()
        server.fleet.open()
        names = (await me.hear()).names
        assert {REVIEWS, "outbound|80||ratings.shop.mesh"} <= set(names)


@both
async def test_a_first_request_without_a_node_is_an_invalid_argument(variant):
    async with serving() as server, Client(server.address, variant) as me:
        await me.ask(CDS)
        code, words = await me.end()
        assert (grpc.StatusCode.INVALID_ARGUMENT, True) == (code, "says no node" in words)
        assert 1 == server.count("pilot_xds_malformed_requests_total")
        assert set() == server.fleet.connections


@both
@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"", b"\x0a\x05ab", b"\x22\x02\xff\xfe"])
async def test_what_is_no_request_is_an_invalid_argument_and_harms_nobody_else(variant, data):
    async with (
        serving(None, "reviews.shop.mesh") as server,
        Client(server.address, variant) as bad,
        Client(server.address, variant) as good,
    ):
        await good.ask(CDS, id=ME)
        await good.answer(await good.hear())
        await bad.ask(CDS, id="bad")
        await bad.hear()
        await bad.say(data)
        assert grpc.StatusCode.INVALID_ARGUMENT is (await bad.end())[0]
        server.put("ratings.shop.mesh")
        assert "outbound|80||ratings.shop.mesh" in (await good.hear()).names
        assert [ME] == [state.id for state in server.states()]


async def test_a_message_that_is_too_large_ends_its_stream_alone():
    async with (
        serving(None, "reviews.shop.mesh") as server,
        Client(server.address) as bad,
        Client(server.address) as good,
    ):
        await bad.say(delta(CDS, ["x" * (5 << 20)], node=node("bad")))
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is (await bad.end())[0]
        await good.ask(CDS, id=ME)
        assert REVIEWS in (await good.hear()).names


async def test_a_method_that_is_not_served_is_unimplemented():
    async with serving() as server, grpc.aio.insecure_channel(server.address) as channel:
        method = "/envoy.service.discovery.v3.ClusterDiscoveryService/StreamClusters"
        call = channel.stream_stream(method)()
        assert grpc.StatusCode.UNIMPLEMENTED is await call.code()


async def test_garbage_on_the_port_and_connections_that_say_nothing_harm_nobody():
    async with serving(None, "reviews.shop.mesh") as server, Client(server.address) as me:
        host, _, port = server.address.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(50)]
        for garbage in (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01" * 99, b"\x00" * 4096):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            async with asyncio.timeout(15):
                assert b"" == await _rest(reader)
            writer.close()
        await me.ask(CDS, id=ME)
        assert REVIEWS in (await me.hear()).names
        for _, writer in silent:
            writer.close()


async def _rest(reader):
    """What comes behind everything that is read: nothing, once the server has closed."""
    try:
        while await reader.read(1 << 16):
            pass
    except ConnectionError:
        return b""
    return b""


async def test_a_client_that_says_its_node_again_stays_who_it_was():
    async with serving(None, "reviews.shop.mesh") as server, Client(server.address) as me:
        await me.ask(CDS, id=ME)
        await me.hear()
        await me.ask(LDS, id="somebody else")
        await me.hear()
        assert [ME] == [state.id for state in server.states()]


@pytest.mark.parametrize("id", ["", "ü~漢~🚀", "x" * 10_000, "sidecar~~~", "a\nb\x00c"])
@both
async def test_node_ids_of_every_kind_are_served(variant, id):
    async with serving(None, "reviews.shop.mesh") as server, Client(server.address, variant) as me:
        await me.ask(CDS, id=id)
        assert REVIEWS in (await me.hear()).names
        (state,) = server.states()
        assert (id[:512], "default") == (state.id, state.namespace)


async def test_a_client_that_goes_leaves_nothing_behind():
    async with serving(None, "reviews.shop.mesh") as server:
        before = len(server.fleet.layers)
        async with Client(server.address) as me:
            await me.ask(CDS, id=ME)
            await me.hear()
            assert len(server.fleet.layers) > before
            assert 1 == server.count("pilot_xds", variant="delta")
        await until(there(lambda: not server.fleet.connections), "the client to have left")
        assert before == len(server.fleet.layers)
        assert 0 == server.count("pilot_xds", variant="delta")


async def test_a_client_that_ends_its_half_of_the_stream_is_let_go():
    async with serving(None, "reviews.shop.mesh") as server, Client(server.address) as me:
        await me.ask(CDS, id=ME)
        await me.hear()
        await me.call.done_writing()
        assert grpc.StatusCode.OK is (await me.end())[0]
        assert set() == server.fleet.connections


async def test_many_clients_come_and_go_at_once():
    async with serving(None, "reviews.shop.mesh") as server:
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(_come_and_go(server.address, f"client-{number}"))
        await until(there(lambda: not server.fleet.connections), "all to have left")
        assert 40 <= server.count("pilot_xds_pushes_total", type="CDS")


async def _come_and_go(address, id):
    async with Client(address) as me:
        await me.ask(CDS, id=id)
        assert REVIEWS in (await me.hear()).names


async def test_what_was_held_back_is_sent_when_patience_is_over():
    """Nothing else happens on the stream: time alone brings it."""
    clock = FakeClock()
    async with serving(clock, "a.shop.mesh") as server, Client(server.address) as me:
        for kind, names in ((CDS, ()), (LDS, ()), (RDS, ("outbound-http",))):
            await me.ask(kind, *names, id=ME)
            await me.answer(await me.hear())
        await until(there(lambda: server.fleet.connections), "the client to have joined")
        (connection,) = server.fleet.connections
        await until(there(connection.stream.has_everything), "everything to be acknowledged")
        server.drop("a.shop.mesh")
        assert RDS is (await me.hear()).type
        # The routes are not acknowledged, so the cluster waits.
        await until(there(lambda: connection.stream.retry_at), "the removal to be held back")
        await clock.advance(PATIENCE + 10)
        removal = await me.hear()
        assert (CDS, ("outbound|80||a.shop.mesh",)) == (removal.type, removal.removed)


async def test_a_port_that_is_taken_is_an_error_that_names_it():
    async with serving() as server:
        with pytest.raises(OSError, match=f"cannot listen on {server.address}"):
            async with serving(listen=server.address):
                """Never here."""


async def test_an_ipv6_address_can_be_listened_on():
    async with serving(None, "reviews.shop.mesh", listen="[::1]:0") as server:
        assert server.address.startswith("[::1]:")
        async with Client(server.address) as me:
            await me.ask(CDS, id=ME)
            assert REVIEWS in (await me.hear()).names


async def test_requests_of_state_of_the_world_that_repeat_a_thousand_names_are_heard():
    hostnames = [f"s{n}.shop.mesh" for n in range(1_000)]
    names = [f"outbound|80||{h}" for h in hostnames]
    async with serving(None, *hostnames) as server, Client(server.address, Variant.SOTW) as me:
        await me.say(sotw(EDS, names, node=node(ME)))
        first = await me.hear()
        assert set(names) == set(first.names)
        for _ in range(5):
            await me.answer(first, *names)
        server.put(hostnames[7], endpoints=("10.0.0.1", "10.0.0.2"))
        assert (names[7],) == (await me.hear()).names
