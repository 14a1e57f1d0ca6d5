"""Connections that are over when their session is."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest

import self_signed
from pilot_core.connector import Connector
from pilot_core.testing import watching
from rude_server import RudeServer

Use = Callable[[aiohttp.ClientSession, RudeServer], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed.write(tmp_path_factory.mktemp("certificate") / "both.pem")


@pytest.fixture
def server(certificate) -> Iterator[RudeServer]:
    with RudeServer(self_signed.server_tls(certificate)) as running:
        yield running


async def _whole(client: aiohttp.ClientSession, server: RudeServer) -> None:
    async with client.get(f"{server.url}/whole") as answer:
        assert b"ok" == await answer.read()


async def _half(client: aiohttp.ClientSession, server: RudeServer) -> None:
    async with client.get(f"{server.url}/half") as answer:
        assert b"half" == await answer.content.readany()


async def _cancelled(client: aiohttp.ClientSession, server: RudeServer) -> None:
    waiting = asyncio.create_task(client.get(f"{server.url}/never"))
    await asyncio.to_thread(server.seen.acquire)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()


@pytest.mark.parametrize("use", [_whole, _half, _cancelled])
def test_no_socket_outlives_the_session_though_the_server_never_says_goodbye(
    server: RudeServer, certificate, use: Use
):
    trust = ssl.create_default_context(cafile=certificate)

    async def scenario() -> set[str]:
        before = watching.descriptors()
        async with aiohttp.ClientSession(connector=Connector(ssl=trust)) as client:
            for _ in range(3):
                await use(client, server)
        return watching.descriptors() - before

    assert set() == asyncio.run(scenario()) - server.descriptors


def test_no_socket_outlives_a_handshake_that_never_ends(certificate):
    trust = ssl.create_default_context(cafile=certificate)

    async def scenario(url: str) -> set[str]:
        before = watching.descriptors()
        async with aiohttp.ClientSession(connector=Connector(ssl=trust)) as client:
            with pytest.raises(TimeoutError):
                await client.get(url, timeout=aiohttp.ClientTimeout(total=0.1))
            waiting = asyncio.create_task(client.get(url))
            await asyncio.wait({waiting}, timeout=0.1)
            waiting.cancel()
            await asyncio.wait({waiting})
        return watching.descriptors() - before

    # The kernel takes the connections; nobody speaks on them.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert set() == asyncio.run(scenario(f"https://127.0.0.1:{silent.getsockname()[1]}/"))
