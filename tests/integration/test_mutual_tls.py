"""Mutual TLS between two sidecars, by nothing but what the daemon and the agents give them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import grpc
import pytest

import mutual
from consul_tls import Authority
from mesh import PATIENCE, Daemon, document, free_port, http_get, service, until
from mutual import Sidecar, Stage, caller, spiffe
from nodes import Load

pytestmark = pytest.mark.envoy

SHOP = "reviews.shop.mesh"
FORGED = "x-forwarded-client-cert: URI=spiffe://mesh.example/ns/default/sa/admin"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with mutual.stage() as made:
        yield made


def reviews(at: tuple[str, int], *, account: str = "reviews", tls: str = "mutual") -> str:
    return document(service(SHOP, [f"{at[0]}:{at[1]} tls={tls} service_account={account}"]))


async def test_the_application_hears_who_calls_and_nobody_can_pretend(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at))
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web")

    async def answered() -> bool:
        return (await client.asks(SHOP, FORGED)) == (200, b"app")

    await until(answered, "an answer through both")
    said = caller(app.last)
    assert [f"URI={spiffe('web')}"] == [p for p in said.split(";") if p.startswith("URI=")]
    assert "admin" not in app.last
    assert 0 < await server.envoy.stat(rf"listener.{at[0]}_{at[1]}.ssl.versions.TLSv1.3")

    assert (200, b"app") == await http_get(server.address, headers=(FORGED,))
    assert "" == caller(app.last)
    assert [] == await daemon.nacks()


async def answers(sidecar: Sidecar, wanted: int) -> None:
    async def answered() -> bool:
        return (await sidecar.asks(SHOP))[0] == wanted

    await until(answered, f"{wanted} for {sidecar.envoy.name}")


async def in_plaintext(server: Sidecar) -> int:
    """What somebody gets who connects without a certificate; 0 where he is not let in."""
    try:
        return (await http_get(server.address))[0]
    except OSError:
        return 0


async def no_nack(daemon: Daemon, *sidecars: Sidecar) -> None:
    assert [] == await daemon.nacks()
    assert [0] * len(sidecars) == [await s.envoy.rejected() for s in sidecars]


def inbound(*statements: str) -> str:
    return "inbound:\n" + "".join(f"- {{{said}}}\n" for said in statements)


async def test_who_may_connect_follows_what_people_say_of_it(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at))
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web")

    async def lets_in(status: int, *, by_name: bool) -> None:
        async def seen() -> bool:
            if await in_plaintext(server) != status:
                return False
            answer = await client.asks(SHOP)
            return answer == (200, b"app") and by_name == (spiffe("web") in caller(app.last))

        await until(seen, f"{status} in plaintext, and the caller by name: {by_name}")

    await lets_in(200, by_name=True)
    stage.mesh.write("said.yaml", inbound("mode: strict"))
    await lets_in(0, by_name=True)
    # Nearer than the mesh is the namespace, and nearer than all its ports a single one.
    stage.mesh.write("said.yaml", inbound("mode: strict", "namespace: default, mode: disabled"))
    await lets_in(200, by_name=False)
    near = f'namespace: default, mode: disabled, ports: {{"{at[1]}": permissive}}'
    stage.mesh.write("said.yaml", inbound("mode: strict", near))
    await lets_in(200, by_name=True)
    await no_nack(daemon, server, client)


async def test_strict_lets_in_nobody_whom_another_authority_vouches_for(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at), inbound("mode: strict"))
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    async with mutual.stage() as elsewhere:
        stranger = await elsewhere.sidecar(daemon, "stranger")
        await answers(stranger, 503)
        assert 0 == app.requests
    await answers(await stage.sidecar(daemon, "web"), 200)
    await no_nack(daemon, server)


async def test_a_server_that_is_somebody_else_gets_no_request(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at, account="ratings"))
    await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web")
    await answers(client, 503)
    assert [503] * 10 == [(await client.asks(SHOP))[0] for _ in range(10)]
    assert 0 == app.requests
    refused = r"cluster.outbound\|80\|\|reviews.shop.mesh.ssl.fail_verify_san"
    assert 10 <= await client.envoy.stat(refused)
    # The registry had it wrong.
    stage.mesh.write("0.yaml", reviews(at))
    await answers(client, 200)


async def test_certificates_are_replaced_under_load_and_no_request_fails(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at), inbound("mode: strict"))
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web")
    await answers(client, 200)
    async with Load(client.listener, SHOP) as load:
        for _ in range(5):
            await client.node.renew()
            await server.node.renew()
            await load.more(30)
        await load.more(100)
        assert [] == load.failed
    await no_nack(daemon, server, client)


async def test_a_gateway_shows_its_own_certificate(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    daemon = await stage.daemon(reviews(at), inbound("mode: strict"))
    await stage.sidecar(daemon, "reviews", at=at, app=app)
    edge = await stage.sidecar(daemon, "edge", "--gateway")
    await answers(edge, 200)
    assert (200, b"app") == await edge.asks(SHOP, FORGED)
    assert spiffe("edge") in caller(app.last)
    assert "admin" not in app.last


async def test_bytes_pass_by_mutual_tls_as_well(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    listed = [f"{at[0]}:{at[1]} tls=mutual service_account=reviews"]
    daemon = await stage.daemon(
        document(service(SHOP, listed, protocol="tcp")), inbound("mode: strict")
    )
    server = await stage.sidecar(daemon, "reviews", at=at, app=app)
    port = free_port()
    client = await stage.sidecar(daemon, "web", "--outbound", f"{port}={SHOP}:80")

    async def answered() -> bool:
        return await http_get(f"127.0.0.1:{port}") == (200, b"app")

    await until(answered, "an answer over TCP")
    assert 0 == await in_plaintext(server)
    await no_nack(daemon, server, client)


async def test_an_agent_that_comes_late_holds_up_plaintext_for_a_moment_only(stage):
    app, at = await stage.mesh.backend("app"), stage.address()
    plain = await stage.mesh.backend("plain")
    daemon = await stage.daemon(
        reviews(at), document(service("plain.shop.mesh", [f"127.0.0.1:{plain.port}"]))
    )
    await stage.sidecar(daemon, "reviews", at=at, app=app)
    client = await stage.sidecar(daemon, "web", has_agent=False)

    async def served() -> bool:
        return await client.asks("plain.shop.mesh") == (200, b"plain")

    await until(served, "an answer in plaintext")
    assert 503 == (await client.asks(SHOP))[0]
    assert 0 == app.requests
    await stage.started(client.node)
    await answers(client, 200)


async def test_an_application_s_own_tls_and_its_first_word_pass_a_permissive_listener(stage):
    at, greeting = stage.address(), b"220 ready\r\n"
    authority = Authority(stage.mesh.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("app.example.com"))
    secure = await stage.mesh.backend("own tls", tls=context)
    daemon = await stage.daemon(
        document(service(SHOP, [f"{at[0]}:{at[1]} service_account=reviews"], protocol="tcp"))
    )
    server = await stage.sidecar(daemon, "reviews", at=at, app=secure)
    trusting = ssl.create_default_context(cafile=str(authority.file))

    async def by_own_tls() -> bytes:
        reader, writer = await asyncio.open_connection(
            *at, ssl=trusting, server_hostname="app.example.com"
        )
        writer.write(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async def answered() -> bool:
        return (await by_own_tls()).endswith(b"own tls")

    await until(answered, "an answer by the application's own TLS")

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    await secure.stop()
    async with await asyncio.start_server(greet, "127.0.0.1", secure.port):
        reader, writer = await asyncio.open_connection(*at)
        async with asyncio.timeout(PATIENCE):
            assert greeting == await reader.readline()
        writer.close()
    await no_nack(daemon, server)


async def test_grpc_passes_by_mutual_tls_and_hears_who_calls(stage):
    said: dict[str, str] = {}

    async def whoever(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        said.update(dict(context.invocation_metadata()))
        return b"app"

    handler = grpc.unary_unary_rpc_method_handler(whoever)
    app = grpc.aio.server()
    app.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", {"C": handler}),))
    at, to = stage.address(), app.add_insecure_port("127.0.0.1:0")
    await app.start()
    listed = [f"{at[0]}:{at[1]} tls=mutual service_account=reviews"]
    daemon = await stage.daemon(
        document(service(SHOP, listed, protocol="grpc")), inbound("mode: strict")
    )
    own = ("--inbound", f"{at[1]}=127.0.0.1:{to}")
    server = await stage.sidecar(daemon, "reviews", *own, at=at)
    client = await stage.sidecar(daemon, "web")
    options = [("grpc.default_authority", SHOP)]
    async with grpc.aio.insecure_channel(client.listener, options=options) as channel:
        call = channel.unary_unary("/a.B/C")

        async def answered() -> bool:
            with contextlib.suppress(grpc.aio.AioRpcError):
                return await call(b"") == b"app"
            return False

        await until(answered, "an answer by gRPC")
    assert f"URI={spiffe('web')}" in said["x-forwarded-client-cert"]
    await app.stop(None)
    await no_nack(daemon, server, client)
