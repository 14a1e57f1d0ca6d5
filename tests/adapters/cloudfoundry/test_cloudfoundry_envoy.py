"""A real Envoy in front of a foundation: requests reach the instances that Diego names, and nobody
who has come into their place."""

from __future__ import annotations

import json
import ssl
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bbs_lrps import Message, desired, http_route, mapping, process_guid, running
from fake_bbs import FakeBbs

import same_bytes
from consul_tls import Authority
from mesh import Backend, Daemon, Mesh, free_port, http_get, mesh, until

pytestmark = pytest.mark.envoy

H, CART, OTHER = "cart.example.com", process_guid("cart"), process_guid("other")
I0, I1, STRANGER = "6a1b9c7e-0000", "6a1b9c7e-0001", "0fe3ba11-0000"


class Cell:
    """A BBS, instances with certificates of their own, and a daemon that reads it."""

    def __init__(self, stage: Mesh, bbs: FakeBbs, instances: Authority) -> None:
        self.stage, self.bbs, self.instances = stage, bbs, instances

    async def start(self, guid: str, port: int = 0) -> Backend:
        """An instance's own TLS server."""
        issued = self.instances.issue(guid)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.cert, issued.key)
        return await self.stage.backend(guid, port=port, tls=context)

    def runs(self, guid: str, process: str, backend: Backend, index: int = 0) -> Message:
        """Diego's word on it."""
        ports = [mapping(8080, 0, 61001, backend.port)]
        lrp = running(guid, process, index, address="127.0.0.1", ports=ports, cell=f"c-{guid}")
        self.bbs.run(lrp)
        return lrp

    async def daemon(self) -> Daemon:
        authority = self.bbs.authority
        pair = authority.issue("mesh")
        config = {
            "bbs": {
                "url": self.bbs.url,
                "ca_file": str(authority.file),
                "cert_file": str(pair.cert),
                "key_file": str(pair.key),
            },
            "instance_ca_file": str(self.instances.file),
            "region": "r1",
        }
        adapter = {"name": "cf1", "kind": "cloudfoundry", "config": config}
        return await self.stage.daemon(f"- {json.dumps(adapter)}\n")


@pytest.fixture
async def cell() -> AsyncIterator[Cell]:
    async with staged() as made:
        yield made


@asynccontextmanager
async def staged() -> AsyncIterator[Cell]:
    async with mesh() as stage:
        folders = [stage.folder / name for name in ("bbs", "instances")]
        for folder in folders:
            folder.mkdir()
        async with FakeBbs(Authority(folders[0])) as bbs:
            yield Cell(stage, bbs, Authority(folders[1]))


async def test_a_port_that_another_application_has_now_gets_not_one_byte(cell: Cell) -> None:
    first = await cell.start(I0)
    cell.bbs.desire(desired(CART, http=[http_route(H)], instances=2))
    cell.runs(I0, CART, first)
    listener = f"127.0.0.1:{free_port()}"
    daemon = await cell.daemon()
    envoy = await cell.stage.envoy(daemon, "router", "--http-listener", listener)

    async def answered() -> tuple[int, bytes]:
        return await http_get(listener, host=H)

    async def is_there() -> bool:
        return await answered() == (200, I0.encode())

    await until(is_there, "the instance")
    # The cell has started another application on the port; Diego has not said so yet.
    await first.kill()
    stranger = await cell.start(STRANGER, first.port)

    async def is_refused() -> bool:
        return (await answered())[0] == 503

    await until(is_refused, "the request to be refused")
    assert [503] * 20 == [(await answered())[0] for _ in range(20)]
    assert 0 == stranger.requests

    # Then it says so: the place has a new owner, and the application another instance.
    successor = await cell.start(I1)
    cell.runs(I1, CART, successor, 1)
    cell.bbs.remove(I0)
    cell.bbs.desire(desired(OTHER, app="app-2", http=[http_route("other.example.com")]))
    cell.runs(STRANGER, OTHER, stranger)

    async def is_back() -> bool:
        return await answered() == (200, I1.encode())

    async def has_other() -> bool:
        return await http_get(listener, host="other.example.com") == (200, STRANGER.encode())

    await until(is_back, "the successor")
    await until(has_other, "the other application, under its own name")
    assert [(200, I1.encode())] * 10 == [await answered() for _ in range(10)]
    assert [] == await daemon.nacks()
    assert 0 == await envoy.rejected()


async def test_an_instance_on_a_cell_that_is_emptied_serves_while_it_is_the_only_one(
    cell: Cell,
) -> None:
    only = await cell.start(I0)
    cell.bbs.desire(desired(CART, http=[http_route(H)]))
    cell.runs(I0, CART, only)
    listener = f"127.0.0.1:{free_port()}"
    daemon = await cell.daemon()
    await cell.stage.envoy(daemon, "router", "--http-listener", listener)

    async def is_there() -> bool:
        return (await http_get(listener, host=H))[0] == 200

    await until(is_there, "the instance")
    cell.bbs.change(I0, epoch="another", presence=1)

    async def health() -> list[str]:
        found = await daemon.items(f"/api/v1/services/{H}/endpoints")
        return [endpoint["health"] for endpoint in found]

    async def is_degraded() -> bool:
        return await health() == ["degraded"]

    await until(is_degraded, "the word of Diego")
    assert [200] * 20 == [(await http_get(listener, host=H))[0] for _ in range(20)]
    successor = await cell.start(I1)
    cell.runs(I1, CART, successor).since = 2

    async def has_moved() -> bool:
        return await http_get(listener, host=H) == (200, I1.encode())

    await until(has_moved, "the successor")
    assert ["draining", "healthy"] == sorted(await health())


async def test_a_bbs_that_is_away_is_a_stale_registry_that_is_served(cell: Cell) -> None:
    only = await cell.start(I0)
    cell.bbs.desire(desired(CART, http=[http_route(H)]))
    cell.runs(I0, CART, only)
    daemon = await cell.daemon()

    async def state() -> str:
        [registry] = await daemon.items("/api/v1/registries")
        return str(registry["state"])

    async def addresses() -> list[str]:
        found = await daemon.items(f"/api/v1/services/{H}/endpoints")
        return [endpoint["address"] for endpoint in found]

    async def is_synced() -> bool:
        return await state() == "synced"

    async def is_stale() -> bool:
        return await state() == "stale"

    await until(is_synced, "the first view")
    await cell.bbs.stop(gracefully=False)
    await until(is_stale, "a stale registry")
    assert ["127.0.0.1"] == await addresses()
    assert ["registry-stale"] == [p["code"] for p in await daemon.items("/api/v1/problems")]
    await cell.bbs.start()
    await until(is_synced, "the BBS again")
    assert ["127.0.0.1"] == await addresses()


def catalogue(instances: Authority) -> str:
    """By hand, what the foundation below holds."""
    pem = textwrap.indent(instances.file.read_text(), "    ")
    return f"""\
services:
- hostname: {H}
  ports: [{{name: http, number: 80, protocol: http}}]
  endpoints:
  - {{address: 127.0.0.1, ports: {{http: 61001}}, tls_name: {I0}, tls_roots: cf1/instances,
      locality: r1/z1, workload: app-1}}
  - {{address: 127.0.0.2, ports: {{http: 61001}}, tls_name: {I1}, tls_roots: cf1/instances,
      locality: r1/z2, workload: app-1, health: degraded}}
- hostname: rpc.example.com
  ports: [{{name: http, number: 80, protocol: http2}}]
  endpoints:
  - {{address: 127.0.0.3, ports: {{http: 61010}}, locality: r1/z1, workload: app-2}}
- hostname: cart.apps.internal
  ports: [{{name: http-8080, number: 8080, protocol: http}}]
  endpoints:
  - {{address: 10.255.77.1, locality: r1/z1, workload: app-1}}
  - {{address: 10.255.77.2, locality: r1/z2, workload: app-1, health: degraded}}
- hostname: 0.cart.apps.internal
  ports: [{{name: http-8080, number: 8080, protocol: http}}]
  endpoints:
  - {{address: 10.255.77.1, locality: r1/z1, workload: app-1}}
- hostname: 1.cart.apps.internal
  ports: [{{name: http-8080, number: 8080, protocol: http}}]
  endpoints:
  - {{address: 10.255.77.2, locality: r1/z2, workload: app-1, health: degraded}}
roots:
- name: cf1/instances
  certificates: |
{pem}"""


async def test_a_proxy_cannot_tell_the_foundation_from_a_file(cell: Cell) -> None:
    internal, plain = ["cart.apps.internal"], [mapping(8080, 61010, 0, 0)]
    cart = desired(CART, http=[http_route(H)], internal=internal, instances=2)
    rpc = [http_route("rpc.example.com", protocol="http2")]
    cell.bbs.desire(cart)
    cell.bbs.desire(desired(OTHER, app="app-2", http=rpc))
    for index, guid in enumerate((I0, I1)):
        lrp = running(
            guid,
            CART,
            index,
            address=f"127.0.0.{index + 1}",
            container=f"10.255.77.{index + 1}",
            ports=[mapping(8080, 61000, 61002, 61001)],
        )
        lrp.availability_zone, lrp.presence = f"z{index + 1}", 2 * index
        cell.bbs.run(lrp)
    where = {"address": "127.0.0.3", "container": "10.255.77.3", "ports": plain}
    cell.bbs.run(running(STRANGER, OTHER, **where))
    daemon = await cell.daemon()
    await same_bytes.assert_served(cell.stage, daemon, catalogue(cell.instances))
