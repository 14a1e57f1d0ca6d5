"""A platform's own TLS servers: each endpoint has to be the one that it is named for."""

from __future__ import annotations

import asyncio
import ssl
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consul_tls import Authority
from mesh import Backend, Daemon, Envoy, Mesh, document, free_port, http_get, mesh, service, until
from nodes import Load

pytestmark = pytest.mark.envoy

CART = "cart.example.com"
ONE, TWO = "6a1b9c7e-0001-4e0f-5d2a-aaaa", "6a1b9c7e-0002-4e0f-5d2a-bbbb"


class Foundation:
    """Instances with a certificate each, and an Envoy that calls them."""

    def __init__(self, mesh_: Mesh) -> None:
        self.mesh = mesh_
        self.authority = Authority(_folder(mesh_, "ca"))
        self.listener = f"127.0.0.1:{free_port()}"

    async def instance(self, guid: str, *, by: Authority | None = None) -> Backend:
        """A server that shows a certificate for this instance."""
        issued = (by or self.authority).issue(guid)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.cert, issued.key)
        return await self.mesh.backend(guid, tls=context)

    def says(self, *endpoints: tuple[Backend, str], roots: str = "cf", more: str = "") -> None:
        """Which instance is where, as the registry has it."""
        listed = [f"127.0.0.1:{b.port} tls_name={guid} tls_roots={roots}" for b, guid in endpoints]
        pem = textwrap.indent(self.authority.file.read_text(), "    ")
        trusted = f"roots:\n- name: cf\n  certificates: |\n{pem}"
        self.mesh.write("cf.yaml", document(service(CART, listed)) + trusted + more)

    async def serve(self, *options: str) -> tuple[Daemon, Envoy]:
        daemon = await self.mesh.daemon()
        options = ("--http-listener", self.listener, *options)
        return daemon, await self.mesh.envoy(daemon, "router", *options)

    async def asks(self) -> tuple[int, bytes]:
        return await http_get(self.listener, host=CART)


def _folder(mesh_: Mesh, name: str) -> Path:
    made = mesh_.folder / name
    made.mkdir()
    return made


@pytest.fixture
async def foundation() -> AsyncIterator[Foundation]:
    async with mesh() as made:
        yield Foundation(made)


@pytest.fixture(params=["delta", "sotw"])
def variant(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("--sotw",) if request.param == "sotw" else ()


async def test_each_instance_is_reached_and_no_other_in_its_place(foundation, variant):
    one, two = await foundation.instance(ONE), await foundation.instance(TWO)
    foundation.says((one, ONE), (two, TWO))
    daemon, envoy = await foundation.serve(*variant)
    reached: set[bytes] = set()

    async def both() -> bool:
        status, body = await foundation.asks()
        reached.add(body)
        return status == 200 and {ONE.encode(), TWO.encode()} <= reached

    await until(both, "answers of both instances")
    before = one.requests + two.requests

    # Where the first one was is another one now, as after a restart on the same port.
    foundation.says((one, "6a1b9c7e-0003-4e0f-5d2a-cccc"))

    async def refused() -> bool:
        return (await foundation.asks())[0] == 503

    await until(refused, "the request to be refused")
    before = one.requests + two.requests
    assert [503] * 20 == [(await foundation.asks())[0] for _ in range(20)]
    assert before == one.requests + two.requests
    assert [] == await daemon.nacks()
    assert 0 == await envoy.rejected()


async def test_who_is_signed_by_somebody_else_gets_no_request(foundation):
    stranger = Authority(_folder(foundation.mesh, "stranger"))
    forged = await foundation.instance(ONE, by=stranger)
    foundation.says((forged, ONE))
    await foundation.serve()

    async def routed() -> bool:
        return (await foundation.asks())[0] == 503

    await until(routed, "the request to be refused")
    assert [503] * 10 == [(await foundation.asks())[0] for _ in range(10)]
    assert 0 == forged.requests


async def test_who_speaks_no_tls_gets_not_one_byte_of_a_request(foundation):
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(10_000))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        plain = Backend("plain")
        plain.port = server.sockets[0].getsockname()[1]
        foundation.says((plain, ONE))
        await foundation.serve()

        async def asked() -> bool:
            return (await foundation.asks())[0] == 503 and len(heard) > 0

        await until(asked, "the request to be refused")

    assert heard.startswith(b"\x16\x03")
    assert ONE.encode() in heard
    assert CART.encode() not in heard


async def test_roots_that_are_not_there_hold_up_nobody_else(foundation):
    one, plain = await foundation.instance(ONE), await foundation.mesh.backend("plain")
    other = document(service("plain.example.com", [f"127.0.0.1:{plain.port}"]))
    foundation.mesh.write("plain.yaml", other)
    foundation.says((one, ONE), roots="nobody")
    daemon, envoy = await foundation.serve()

    async def served() -> bool:
        asked = await http_get(foundation.listener, host="plain.example.com")
        return asked == (200, b"plain")

    await until(served, "the other service")
    assert 503 == (await foundation.asks())[0]
    assert 0 == one.requests
    said = [p["code"] for p in await daemon.items("/api/v1/problems")]
    assert ["endpoints-without-roots"] == said
    foundation.says((one, ONE))

    async def reached() -> bool:
        return await foundation.asks() == (200, ONE.encode())

    await until(reached, "the instance, once there are roots")
    assert 0 == await envoy.rejected()


async def test_roots_are_replaced_and_no_request_fails(foundation):
    old = await foundation.instance(ONE)
    foundation.says((old, ONE))
    await foundation.serve()

    async def reached() -> bool:
        return (await foundation.asks())[0] == 200

    await until(reached, "the first answer")
    new = Authority(_folder(foundation.mesh, "new"))
    both = foundation.authority.file.read_text() + new.file.read_text()
    foundation.authority.file.write_text(both)
    async with Load(foundation.listener, CART) as load:
        foundation.says((old, ONE))
        two = await foundation.instance(TWO, by=new)
        foundation.says((old, ONE), (two, TWO))

        async def shared() -> bool:
            return two.requests > 10

        await until(shared, "requests for the instance of the new authority")
        foundation.authority.file.write_text(new.file.read_text())
        foundation.says((two, TWO))
        await load.more(50)
        assert [] == load.failed


async def test_a_stale_instance_beside_a_good_one_costs_no_request(foundation):
    stale, good = await foundation.instance(ONE), await foundation.instance(TWO)
    foundation.says((stale, "6a1b9c7e-0009-4e0f-5d2a-eeee"), (good, TWO))
    await foundation.serve()

    async def reached() -> bool:
        return await foundation.asks() == (200, TWO.encode())

    await until(reached, "the good instance")
    assert {200} == {(await foundation.asks())[0] for _ in range(50)}
    assert 0 == stale.requests


async def test_a_name_that_proxies_resolve_is_held_to_its_tls_name_as_well(foundation, variant):
    one = await foundation.instance(ONE)
    endpoint = f"{{address: localhost, ports: {{main: {one.port}}}, tls_name: NAME, tls_roots: cf}}"
    pem = textwrap.indent(foundation.authority.file.read_text(), "    ")

    def says(name: str) -> None:
        entry = f"- hostname: {CART}\n  resolution: dns\n"
        entry += "  ports: [{name: main, number: 80, protocol: http}]\n"
        entry += f"  endpoints: [{endpoint.replace('NAME', name)}]\n"
        trusted = f"roots:\n- name: cf\n  certificates: |\n{pem}"
        foundation.mesh.write("cf.yaml", f"services:\n{entry}{trusted}")

    async def answered(status: int) -> bool:
        return (await foundation.asks())[0] == status

    says(ONE)
    _, envoy = await foundation.serve(*variant)
    await until(lambda: answered(200), "an answer")
    says(TWO)
    await until(lambda: answered(503), "the request to be refused")
    before = one.requests
    assert [503] * 5 == [(await foundation.asks())[0] for _ in range(5)]
    assert before == one.requests
    assert 0 == await envoy.rejected()
