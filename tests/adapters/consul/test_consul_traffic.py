"""A real Envoy beside a real Consul: what the registry says is where requests go."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator

import pytest

from consul_catalogue import register
from mesh import Backend, Daemon, Mesh, free_port, http_get, mesh, until

pytestmark = pytest.mark.envoy

WEB = "web.service.consul"
HTTP = {"protocol": "http"}


@pytest.fixture
async def stage() -> AsyncIterator[Mesh]:
    async with mesh() as made:
        yield made


async def _register(consul, backend: Backend, status: str = "passing") -> None:
    # Loopback has many addresses: one for each instance, as they would have on hosts of their own.
    ip = "127.0.0.1" if backend.name == "one" else "127.0.0.2"
    checks = {f"up-{backend.name}": status}
    await register(consul, "web", ip, Port=backend.port, Meta=HTTP, checks=checks)


async def _daemon(stage: Mesh, consul) -> Daemon:
    return await stage.daemon(
        f'- {{name: dc1, kind: consul, config: {{address: "{consul.address}"}}}}\n',
        more=f"state_dir: {stage.folder / 'state'}\n",
    )


async def _answer(listener: str) -> tuple[int, bytes]:
    return await http_get(listener, host=WEB)


@contextlib.asynccontextmanager
async def _load(listener: str) -> AsyncIterator[set[tuple[int, bytes]]]:
    """Requests one after the other while the block lasts; every different answer to them."""
    answers: set[tuple[int, bytes]] = set()
    stop = asyncio.Event()

    async def ask() -> None:
        while not stop.is_set():
            answers.add(await _answer(listener))

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        try:
            yield answers
        finally:
            stop.set()


async def _state(daemon: Daemon) -> str:
    [registry] = await daemon.items("/api/v1/registries")
    return str(registry["state"])


async def test_an_instance_takes_traffic_once_registered_and_none_once_its_check_fails(
    stage, consul
):
    one, two = await stage.backend("one"), await stage.backend("two", "127.0.0.2")
    await _register(consul, one)
    daemon = await _daemon(stage, consul)
    listener = f"127.0.0.1:{free_port()}"
    await stage.envoy(daemon, "caller", "--http-listener", listener)

    async def says(name: bytes) -> bool:
        return await _answer(listener) == (200, name)

    async def only_two() -> bool:
        return {await _answer(listener) for _ in range(8)} == {(200, b"two")}

    await until(lambda: says(b"one"), "the first instance")
    async with _load(listener) as answers:
        await _register(consul, two)
        await until(lambda: says(b"two"), "the second instance")
        await _register(consul, one, "critical")
        await until(only_two, "the first instance to take no more traffic")
    assert {(200, b"one"), (200, b"two")} == answers
    assert [] == await daemon.nacks()


async def test_no_request_fails_while_consul_is_gone_and_pilot_core_is_restarted(stage, consul):
    one = await stage.backend("one")
    await _register(consul, one)
    daemon = await _daemon(stage, consul)
    listener = f"127.0.0.1:{free_port()}"
    await stage.envoy(daemon, "caller", "--http-listener", listener)

    async def answers() -> bool:
        return await _answer(listener) == (200, b"one")

    async def is_in(state: str) -> bool:
        return await _state(daemon) == state

    await until(answers, "200")
    async with _load(listener) as seen:
        await consul.process.kill()
        await until(lambda: is_in("stale"), "the registry to be stale")
        [problem] = await daemon.items("/api/v1/problems")
        assert "registry-stale" == problem["code"]
        assert consul.address in problem["message"]
        await until(lambda: _is_kept(stage), "the state file")
        await daemon.child.kill()
        await daemon.start()
        await until(lambda: is_in("stale"), "what is known from before")
        assert WEB in [s["hostname"] for s in await daemon.items("/api/v1/services")]
        await consul.process.start()
        await until(lambda: is_in("synced"), "Consul to be read again")
    assert {(200, b"one")} == seen
    assert [] == await daemon.items("/api/v1/problems")


async def _is_kept(stage: Mesh) -> bool:
    """The state file lags what is served by up to a second."""
    file = stage.folder / "state" / "state.sqlite"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as state:
            [kept] = state.execute("SELECT count(*) FROM sources").fetchone()
    except sqlite3.OperationalError:
        return False  # the file or its table is not there yet
    return int(kept) >= 2
