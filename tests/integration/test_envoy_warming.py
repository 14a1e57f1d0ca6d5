"""Real Envoys through changes of clusters and restarts: nothing waits, nothing is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator

import pytest

from mesh import Daemon, Envoy, Mesh, document, free_port, http_get, mesh, service, until

pytestmark = pytest.mark.envoy

SHOP, OTHER = "reviews.shop.mesh", "ratings.shop.mesh"


@pytest.fixture(params=["delta", "sotw"])
def variant(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("--sotw",) if request.param == "sotw" else ()


@pytest.fixture
async def stage() -> AsyncIterator[Mesh]:
    async with mesh() as made:
        yield made


async def started(stage: Mesh, variant: tuple[str, ...]) -> tuple[Daemon, Envoy, str]:
    """A daemon, an Envoy that has everything, and its HTTP listener."""
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    envoy = await stage.envoy(daemon, "web", "--http-listener", listener, *variant)
    await until(lambda: answers(listener, SHOP, 200), "200")
    return daemon, envoy, listener


async def answers(listener: str, host: str, wanted: bytes | int) -> bool:
    return wanted in await http_get(listener, host=host)


async def stats(envoy: Envoy, pattern: str) -> dict[str, int]:
    _, body = await http_get(envoy.admin, f"/stats?filter={pattern}&format=json")
    return {s["name"]: int(s["value"]) for s in json.loads(body)["stats"] if "value" in s}


async def nothing_waited(daemon: Daemon, envoy: Envoy) -> None:
    """No cluster is warming, none ever waited in vain for its endpoints, nothing was refused."""
    assert 0 == await envoy.stat("cluster_manager.warming_clusters")
    assert {0} == set((await stats(envoy, "init_fetch_timeout")).values())
    # Envoy gives up on endpoints after 15 s, and acknowledges their clusters only then.
    _, metrics = await http_get(daemon.admin, "/metrics")
    name = rb"pilot_proxy_convergence_time"
    quick = re.search(name + rb'_bucket\{le="10.0"\} (\S+)', metrics)
    every = re.search(name + rb"_count (\S+)", metrics)
    assert quick is not None
    assert every is not None
    assert quick[1] == every[1]
    assert 0 == await envoy.rejected()
    assert [] == await daemon.nacks()


async def in_sync(daemon: Daemon) -> bool:
    proxies = await daemon.items("/api/v1/proxies")
    types = [t for p in proxies for t in p["types"].values() if t]
    return len(types) >= 4 and {"synced"} == {t["state"] for t in types}


async def test_clusters_that_change_are_never_stuck_in_warming(stage, variant):
    """Fifty clusters change their protocol again and again; each is used at once."""
    backend = await stage.backend("one")
    where = [f"127.0.0.1:{backend.port}"]
    others = [f"s{n}.shop.mesh" for n in range(50)]

    def written(protocol: str) -> str:
        entries = [service(name, where, protocol=protocol) for name in others]
        return document(service(SHOP, where), *entries)

    stage.write("shop.yaml", written("http"))
    daemon, envoy, listener = await started(stage, variant)
    for protocol, wanted in (("http2", 502), ("http", 200)) * 3:
        stage.write("shop.yaml", written(protocol))
        for name in (others[0], others[-1]):
            await until(lambda n=name, w=wanted: answers(listener, n, w), f"{name}: {wanted}")
    await until(lambda: in_sync(daemon), "everything acknowledged")
    await nothing_waited(daemon, envoy)


async def test_services_come_and_go_beside_one_that_never_fails(stage, variant):
    backend = await stage.backend("one")
    where = [f"127.0.0.1:{backend.port}"]
    keeps = service(SHOP, where)
    stage.write("shop.yaml", document(keeps))
    daemon, envoy, listener = await started(stage, variant)
    async with load(listener) as statuses:
        for round in range(5):
            added = [service(f"added{round}-{n}.shop.mesh", where) for n in range(10)]
            stage.write("shop.yaml", document(keeps, *added))
            host = f"added{round}-9.shop.mesh"
            await until(lambda h=host: answers(listener, h, b"one"), f"{host}: an answer")
            stage.write("shop.yaml", document(keeps))
            await until(lambda h=host: answers(listener, h, 404), f"{host}: 404")
    assert {200} == set(statuses)
    await until(lambda: in_sync(daemon), "everything acknowledged")
    assert ".shop.mesh" in (clusters := await envoy.clusters())
    assert "added0-" not in clusters
    await nothing_waited(daemon, envoy)


@contextlib.asynccontextmanager
async def load(listener: str) -> AsyncIterator[list[int]]:
    """Requests one after another; the statuses that they were answered with."""
    statuses: list[int] = []
    stop = asyncio.Event()

    async def go_on() -> None:
        while not stop.is_set():
            statuses.append((await http_get(listener, host=SHOP))[0])

    task = asyncio.create_task(go_on())
    try:
        yield statuses
    finally:
        stop.set()
        await task


async def test_an_envoy_that_comes_back_after_a_restart_gets_what_changed_meanwhile(stage, variant):
    first, second = await stage.backend("first"), await stage.backend("second")
    gone = service("gone.shop.mesh", [f"127.0.0.1:{first.port}"])
    stays = service(OTHER, [f"127.0.0.1:{first.port}"])
    stage.write("shop.yaml", document(service(SHOP, [f"127.0.0.1:{first.port}"]), stays, gone))
    daemon, envoy, listener = await started(stage, variant)
    async with load(listener) as statuses:
        await daemon.child.kill()
        moved = service(SHOP, [f"127.0.0.1:{second.port}"])
        new = service("new.shop.mesh", [f"127.0.0.1:{second.port}"])
        stage.write("shop.yaml", document(moved, stays, new))
        assert await answers(listener, SHOP, b"first")
        await daemon.start()
        await until(lambda: answers(listener, SHOP, b"second"), "the endpoint that changed")
        await until(lambda: answers(listener, "new.shop.mesh", b"second"), "the service that came")
        await until(lambda: answers(listener, "gone.shop.mesh", 404), "the service to be gone")
        assert await answers(listener, OTHER, b"first")
    assert {200} == set(statuses)
    await until(lambda: in_sync(daemon), "everything acknowledged")
    assert "gone.shop.mesh" not in await envoy.clusters()
    await nothing_waited(daemon, envoy)


async def test_a_restart_without_a_change_sends_a_returning_envoy_nothing(stage, variant):
    backend = await stage.backend("one")
    stage.write("shop.yaml", document(service(SHOP, [f"127.0.0.1:{backend.port}"])))
    daemon, envoy, _ = await started(stage, variant)
    await until(lambda: in_sync(daemon), "everything acknowledged")
    pattern = r"(cds|lds)\.update_success"
    before = await stats(envoy, pattern)
    assert before
    await daemon.child.kill()
    await daemon.start()
    await until(lambda: in_sync(daemon), "the Envoy to be back in sync")
    assert before == await stats(envoy, pattern)
    await nothing_waited(daemon, envoy)
