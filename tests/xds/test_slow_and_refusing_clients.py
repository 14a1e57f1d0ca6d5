"""Clients that do not read, or do not take what they get: they are shown, and harm themselves."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import grpc
import pytest

import deaf_client
from mesh import until
from pilot_core.rpc.limits import ServerLimits
from pilot_core.testing import FakeClock
from pilot_xds.types import Variant
from xds_messages import CDS, EDS
from xds_server import Client, serving

both = pytest.mark.parametrize("variant", [Variant.DELTA, Variant.SOTW])
SEND_TIMEOUT = ServerLimits().taking
MANY = [f"service-number-{n}-of-many.shop.mesh" for n in range(1_500)]
ONE = f"outbound|80||{MANY[0]}"


def there(value):
    async def look():
        return value()

    return look


@contextlib.contextmanager
def deaf(address, count, variant=Variant.DELTA):
    """So many clients that never read."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            stack.enter_context(deaf_client.ask(address, variant, CDS, f"deaf-{number}"))
        yield


@contextlib.asynccontextmanager
async def clients(address, count, variant=Variant.DELTA):
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(Client(address, variant)) for _ in range(count)]
        for number, client in enumerate(made):
            await client.ask(CDS, id=f"client-{number}")
        yield made


def stuck(server):
    """Connections whose response nobody takes."""
    return [c for c in server.fleet.connections if c.writing_since is not None]


def unanswered(server):
    """Sessions that have been asked for a sign of life, and have not given it."""
    return [s for s in server.transport._server._sessions if s._pinged_at is not None]


@both
async def test_clients_that_never_read_hinder_nobody_and_are_cut_off(variant, caplog):
    caplog.set_level(logging.WARNING)
    clock = FakeClock()
    async with (
        serving(clock, *MANY) as server,
        clients(server.address, 8, variant) as good,
    ):
        with deaf(server.address, 2, variant):
            for client in good:
                await client.answer(await client.hear())
            await until(there(lambda: 2 == len(stuck(server))), "two responses that nobody takes")
            nonces = {c.name: c.stream.types[CDS].nonce for c in stuck(server)}
            for number in range(10):
                server.put(f"added-{number}.shop.mesh")
                for client in good:
                    said = await client.hear()
                    assert f"outbound|80||added-{number}.shop.mesh" in said.names
                    await client.answer(said)
            await until(there(lambda: 2 == len(stuck(server))), "the others to have taken all")
            # Of all that came up meanwhile, nothing was put together for those that do not read.
            assert nonces == {c.name: c.stream.types[CDS].nonce for c in stuck(server)}
            await clock.advance(SEND_TIMEOUT + 10)
            await until(there(lambda: 8 == len(server.fleet.connections)), "the deaf to be cut off")
            assert {f"client-{n}" for n in range(8)} == {state.id for state in server.states()}
            assert 2 == server.count("pilot_xds_write_timeout_total")
            assert 2 == sum("does not read" in record.message for record in caplog.records)
            server.put("last.shop.mesh")
            assert "outbound|80||last.shop.mesh" in (await good[0].hear()).names


async def test_a_client_that_is_merely_quiet_is_not_cut_off():
    clock = FakeClock()
    async with serving(clock, *MANY) as server, clients(server.address, 1) as (quiet,):
        assert len(MANY) < len((await quiet.hear()).names)
        await until(there(lambda: not stuck(server)), "the response to be taken")
        for _ in range(60):
            await clock.advance(SEND_TIMEOUT / 6)
            # It is asked for signs of life, and takes as long for them as the machine does.
            await until(there(lambda: not unanswered(server)), "a sign of life")
        assert ["client-0"] == [state.id for state in server.states()]
        assert 0 == server.count("pilot_xds_write_timeout_total")


@both
async def test_a_refusal_is_shown_with_the_clients_words_and_its_origin(variant, caplog):
    caplog.set_level(logging.WARNING)
    async with serving(None, "reviews.shop.mesh") as server, Client(server.address, variant) as me:
        await me.ask(CDS, id="sidecar~10.0.0.9~web.shop~mesh")
        words = "Error adding outbound|80||reviews.shop.mesh: field 7 is not to my liking"
        await me.answer(await me.hear(), error=words)
        await until(there(server.nacks), "the refusal to be shown")
        (problem,) = server.nacks()
        assert ("CDS", "sidecar~10.0.0.9~web.shop~mesh", words, "shop.yaml:17:1") == (
            problem.source,
            problem.object,
            problem.message,
            problem.origin,
        )
        (state,) = server.states()
        clusters = state.types["CDS"]
        assert ("nacked", words, None) == (clusters.state, clusters.error, clusters.acked)
        assert 1 == server.count("pilot_total_xds_rejects_total", type="CDS")
        assert ["refused by a proxy"] == [record.message for record in caplog.records]


@both
async def test_a_refusal_is_over_when_its_successor_is_taken(variant):
    async with serving(None, "a.shop.mesh") as server, Client(server.address, variant) as me:
        await me.ask(EDS, "outbound|80||a.shop.mesh", id="me")
        await me.answer(await me.hear(), "outbound|80||a.shop.mesh", error="no")
        await until(there(server.nacks), "the refusal to be shown")
        server.put("a.shop.mesh", endpoints=("10.0.0.7",))
        await me.answer(await me.hear(), "outbound|80||a.shop.mesh")
        await until(there(lambda: not server.nacks()), "the refusal to be over")
        assert "synced" == server.states()[0].types["EDS"].state


async def test_a_refusal_goes_with_the_client():
    async with serving(None, "a.shop.mesh") as server:
        async with Client(server.address) as me:
            await me.ask(CDS, id="me")
            await me.answer(await me.hear(), error="no")
            await until(there(server.nacks), "the refusal to be shown")
        await until(there(lambda: not server.nacks()), "the refusal to be over")


async def test_a_refusal_stays_while_another_client_of_the_same_name_refuses():
    async with serving(None, "a.shop.mesh") as server, Client(server.address) as one:
        async with Client(server.address) as other:
            for client in (one, other):
                await client.ask(CDS, id="twin")
                await client.answer(await client.hear(), error="no")
            await until(there(lambda: [2] == [p.count for p in server.nacks()]), "both refusals")
        await until(there(lambda: 1 == len(server.fleet.connections)), "one to have left")
        assert 1 == len(server.nacks())


@both
async def test_nobody_is_sent_again_what_he_refused_when_others_get_it(variant):
    async with (
        serving(None, "a.shop.mesh") as server,
        clients(server.address, 2, variant) as (refusing, good),
    ):
        await refusing.answer(await refusing.hear(), error="outbound|80||a.shop.mesh is bad")
        await good.answer(await good.hear())
        await until(there(server.nacks), "the refusal to be shown")
        server.put("b.shop.mesh")
        said = await good.hear()
        assert "outbound|80||b.shop.mesh" in said.names
        said = await refusing.hear()
        assert "outbound|80||b.shop.mesh" in said.names
        assert "outbound|80||a.shop.mesh" not in said.names


async def test_draining_ends_every_stream_as_unavailable_within_its_time():
    async with serving(None, "a.shop.mesh") as server, clients(server.address, 5) as open_ones:
        for client in open_ones:
            await client.answer(await client.hear())
        async with asyncio.timeout(10):
            await server.transport.drain(0.2)
        for client in open_ones:
            code, words = await client.end()
            assert (grpc.StatusCode.UNAVAILABLE, "the server is about to stop") == (code, words)
        assert set() == server.fleet.connections


async def test_draining_does_not_wait_for_clients_that_do_not_read():
    async with serving(None, *MANY) as server:
        with deaf(server.address, 2):
            await until(there(lambda: 2 == len(stuck(server))), "two responses nobody takes")
            async with asyncio.timeout(10):
                await server.transport.drain(0.2)
        await until(there(lambda: not server.fleet.connections), "both to be let go")


async def test_who_comes_while_the_server_drains_is_turned_away():
    async with serving(None, "a.shop.mesh") as server, clients(server.address, 1) as (old,):
        await old.hear()
        draining = asyncio.create_task(server.transport.drain(0.5))
        await until(there(lambda: not server.fleet.connections), "the stream to be ended")
        async with Client(server.address) as late:
            with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
                await late.ask(CDS, id="late")
            assert grpc.StatusCode.UNAVAILABLE is (await late.end())[0]
        await draining
        assert set() == server.fleet.connections
