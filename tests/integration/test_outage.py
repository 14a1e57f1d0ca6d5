"""A registry outage is not a traffic outage; neither is one of pilot-core itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from mesh import Daemon, Mesh, document, free_port, http_get, mesh, service, until
from pilot_core.daemon import state_dir
from pilot_core.registry import state_file

pytestmark = pytest.mark.envoy

SHOP = "reviews.shop.mesh"


@pytest.fixture
async def stage() -> AsyncIterator[Mesh]:
    async with mesh() as made:
        yield made


class Registry:
    """An HTTP registry that can be taken away and brought back on the same port."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(text=self.text)


async def _serving(stage: Mesh, registry: Registry) -> tuple[Daemon, str]:
    """A daemon that keeps its state, over the registry, and an Envoy's HTTP listener."""
    daemon = await stage.daemon(
        "- name: web\n  kind: http\n"
        f'  config: {{url: "http://127.0.0.1:{registry.port}/", interval: 100ms}}\n',
        more=f"state_dir: {stage.folder / 'state'}\n",
    )
    listener = f"127.0.0.1:{free_port()}"
    await stage.envoy(daemon, "web", "--http-listener", listener)

    async def answers() -> bool:
        return (await http_get(listener, host=SHOP))[0] == 200

    await until(answers, "200")
    return daemon, listener


async def _state(daemon: Daemon, name: str) -> str:
    [registry] = [r for r in await daemon.items("/api/v1/registries") if r["name"] == name]
    return str(registry["state"])


async def _load(listener: str, stop: asyncio.Event) -> list[int]:
    statuses = []
    while not stop.is_set():
        statuses.append((await http_get(listener, host=SHOP))[0])
    return statuses


async def test_no_request_fails_while_the_registry_and_then_pilot_core_are_killed(stage):
    backend = await stage.backend("one")
    registry = Registry(document(service(SHOP, [f"127.0.0.1:{backend.port}"])))
    await registry.start()
    daemon, listener = await _serving(stage, registry)
    stop = asyncio.Event()
    load = asyncio.create_task(_load(listener, stop))
    await registry.stop()

    async def stale() -> bool:
        return await _state(daemon, "web") == "stale"

    await until(stale, "the registry to be stale")
    assert ["registry-stale"] == [p["code"] for p in await daemon.items("/api/v1/problems")]
    await until(lambda: _kept(stage), "the state file to hold what is served")
    await daemon.child.kill()
    await daemon.start()
    assert await stale()
    [served] = await daemon.items("/api/v1/services")
    assert (SHOP, {"total": 1, "healthy": 1}) == (served["hostname"], served["endpoints"])
    await until(lambda: _in_sync(daemon), "the Envoy to be back in sync")
    await registry.start()
    await until(lambda: _is_synced(daemon), "the registry to be read again")
    stop.set()
    assert {200} == set(await load)
    assert [] == await daemon.items("/api/v1/problems")
    await registry.stop()


async def _kept(stage: Mesh) -> bool:
    """Does the state file hold what is served?"""
    path = stage.folder / "state" / state_dir.STATE_FILE
    kept = state_file.read(path).sources if path.exists() else {}
    return any(record.hostname == SHOP for records in kept.values() for record in records)


async def _is_synced(daemon: Daemon) -> bool:
    return await _state(daemon, "web") == "synced"


async def _in_sync(daemon: Daemon) -> bool:
    """All types of all proxies; one that has not been subscribed to yet is null."""
    proxies = await daemon.items("/api/v1/proxies")
    types = [p["types"][name] for p in proxies for name in ("CDS", "EDS", "LDS", "RDS")]
    return bool(types) and all(shown and shown["state"] == "synced" for shown in types)


async def test_a_file_that_breaks_is_named_with_its_line_and_keeps_what_it_gave(stage):
    backend = await stage.backend("one")
    good = document(service(SHOP, [f"127.0.0.1:{backend.port}"]))
    path = stage.write("shop.yaml", good)
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    await stage.envoy(daemon, "web", "--http-listener", listener)

    async def answers() -> bool:
        return (await http_get(listener, host=SHOP))[0] == 200

    await until(answers, "200")
    stage.write("shop.yaml", good.replace("number: 80", "number: eighty"))

    async def told() -> bool:
        return bool(await daemon.items("/api/v1/problems"))

    await until(told, "a problem")
    [problem] = await daemon.items("/api/v1/problems")
    assert f"{path}:3:" in problem["origin"]
    assert (200, b"one") == await http_get(listener, host=SHOP)
    stage.write("shop.yaml", good)

    async def mended() -> bool:
        return not await told()

    await until(mended, "the problem to be gone")


async def test_a_service_in_two_registries_is_one_service_and_moves_without_a_gap(stage):
    one, two = await stage.backend("one"), await stage.backend("two")
    old, new = stage.folder / "old", stage.folder / "new"
    for folder in (old, new):
        folder.mkdir()
    (old / "a.yaml").write_text(document(service(SHOP, [f"127.0.0.1:{one.port}"])))
    daemon = await stage.daemon(
        f"- {{name: old, kind: file, config: {{paths: [{old}]}}}}\n"
        f"- {{name: new, kind: file, config: {{paths: [{new}]}}}}\n"
    )
    listener = f"127.0.0.1:{free_port()}"
    await stage.envoy(daemon, "web", "--http-listener", listener)

    async def says(name: bytes) -> bool:
        return (await http_get(listener, host=SHOP))[1] == name

    await until(lambda: says(b"one"), "the old registry's backend")
    stop = asyncio.Event()
    load = asyncio.create_task(_load(listener, stop))
    (new / "a.yaml").write_text(document(service(SHOP, [f"127.0.0.1:{two.port}"])))
    await until(lambda: says(b"two"), "the new registry's backend, beside the old one")
    [united] = await daemon.items("/api/v1/services")
    assert (["old", "new"], 2) == (united["registries"], united["endpoints"]["total"])
    (old / "a.yaml").unlink()

    async def moved() -> bool:
        [service] = await daemon.items("/api/v1/services")
        return bool(service["registries"] == ["new"])

    await until(moved, "the old registry to have let go")
    stop.set()
    assert {200} == set(await load)
