"""Clients that never read, at a real daemon: its memory does not grow with what they miss."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import deaf_client
from mesh import Daemon, Mesh, document, mesh, service, until
from pilot_xds.types import Variant
from xds_messages import CDS
from xds_server import Client

pytestmark = pytest.mark.slow

_SERVICES = 800
_DEAF = 40
_READING = 4
_CHANGES = 30
_MB = 1 << 20


def resident(daemon: Daemon) -> int:
    """Bytes that the daemon has in memory (proc(5), statm)."""
    assert daemon.child is not None
    words = Path(f"/proc/{daemon.child.pid}/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def named(turn: int) -> str:
    """All services, each under a name of this turn: nothing of the turn before stays."""
    names = (f"service-{n:04}-of-turn-{turn:04}.shop.mesh" for n in range(_SERVICES))
    return document(*(service(name, ["10.0.0.1:80"]) for name in names))


@contextlib.asynccontextmanager
async def reading(daemon: Daemon, variant: Variant) -> AsyncIterator[list[Client]]:
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(daemon.xds, variant)) for _ in range(_READING)
        ]
        for number, client in enumerate(clients):
            await client.ask(CDS, id=f"reading-{number}")
        yield clients


async def hears(clients: list[Client], turn: int) -> int:
    """Each answers until it has been told of this turn; the bytes that one was sent on the way."""
    last = f"outbound|80||service-{_SERVICES - 1:04}-of-turn-{turn:04}.shop.mesh"
    size = 0
    for client in clients:
        size = 0
        names: tuple[str, ...] = ()
        while last not in names:
            said = await client.hear()
            names = said.names
            size += sum(map(len, said.names)) + sum(map(len, said.removed))
            await client.answer(said)
    return size


async def connected(stage: Mesh, daemon: Daemon, count: int) -> None:
    async def look() -> bool:
        return len(await daemon.items("/api/v1/proxies")) == count

    await until(look, f"{count} proxies")


@pytest.mark.parametrize("variant", [Variant.DELTA, Variant.SOTW])
async def test_memory_is_bounded_whatever_clients_that_never_read_have_missed(variant):
    async with mesh() as stage:
        stage.write("shop.yaml", named(0))
        daemon = await stage.daemon()
        async with reading(daemon, variant) as clients:
            await hears(clients, 0)
            with contextlib.ExitStack() as stack:
                for number in range(_DEAF):
                    asked = deaf_client.ask(daemon.xds, variant, CDS, f"deaf-{number}")
                    stack.enter_context(asked)
                await connected(stage, daemon, _DEAF + _READING)
                missed, before = 0, resident(daemon)
                for turn in range(1, _CHANGES + 1):
                    stage.write("shop.yaml", named(turn))
                    missed += await hears(clients, turn)
                grown = resident(daemon) - before
    # Names alone, without what is in the clusters: kept for each of them, it would be more.
    assert missed * _DEAF > 80 * _MB, "too little to tell"
    assert grown < 40 * _MB, f"{grown // _MB} MB for {_DEAF} clients"
