"""Real Envoys, the real daemon, catalogue files: what a user does first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mesh import Backend, Envoy, Mesh, document, free_port, http_get, mesh, service, until

pytestmark = pytest.mark.envoy

SHOP = "reviews.shop.mesh"


@pytest.fixture(params=["delta", "sotw"])
def variant(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("--sotw",) if request.param == "sotw" else ()


@pytest.fixture
async def stage() -> AsyncIterator[Mesh]:
    async with mesh() as made:
        yield made


async def answers(listener: str, host: str, wanted: bytes | int) -> bool:
    status, body = await http_get(listener, host=host)
    return wanted in (status, body)


async def no_nack(daemon, *envoys: Envoy) -> None:
    assert [] == await daemon.nacks()
    for envoy in envoys:
        assert 0 == await envoy.rejected()


async def test_a_request_is_routed_by_host_and_follows_the_catalogue_file(stage, variant):
    first, second = await stage.backend("one"), await stage.backend("two")
    stage.write("shop.yaml", document(service(SHOP, [f"127.0.0.1:{first.port}"])))
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    envoy = await stage.envoy(daemon, "web", "--http-listener", listener, *variant)
    await until(lambda: answers(listener, SHOP, b"one"), "the first backend's answer")
    stage.write("shop.yaml", document(service(SHOP, [f"127.0.0.1:{second.port}"])))
    await until(lambda: answers(listener, SHOP, b"two"), "the second backend's answer")
    assert (404, b"") == await http_get(listener, host="nobody.shop.mesh")
    assert (200, b"two") == await http_get(listener, host=f"{SHOP}:80")
    await no_nack(daemon, envoy)


async def test_scaling_to_zero_answers_503_and_back_200(stage, variant):
    backend = await stage.backend("one")
    there = document(service(SHOP, [f"127.0.0.1:{backend.port}"]))
    stage.write("shop.yaml", there)
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    envoy = await stage.envoy(daemon, "web", "--http-listener", listener, *variant)
    await until(lambda: answers(listener, SHOP, 200), "200")
    stage.write("shop.yaml", document(service(SHOP, [])))
    await until(lambda: answers(listener, SHOP, 503), "503 without endpoints")
    stage.write("shop.yaml", there)
    await until(lambda: answers(listener, SHOP, 200), "200 again")
    stage.write("shop.yaml", document())
    await until(lambda: answers(listener, SHOP, 404), "404 without the service")
    stage.write("shop.yaml", there)
    await until(lambda: answers(listener, SHOP, 200), "200 with the service again")
    await no_nack(daemon, envoy)


async def test_no_request_is_lost_during_fifty_endpoint_changes(stage, variant):
    backends = [await stage.backend(f"b{n}") for n in range(4)]
    keeps = backends[0]
    stage.write("shop.yaml", _with(keeps, backends[1]))
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    envoy = await stage.envoy(daemon, "web", "--http-listener", listener, *variant)
    await until(lambda: answers(listener, SHOP, 200), "200")
    statuses: list[int] = []
    changing = asyncio.create_task(_change(stage, backends, envoy))
    while not changing.done() or len(statuses) < 2_000:
        got = await asyncio.gather(*(http_get(listener, host=SHOP) for _ in range(8)))
        statuses.extend(status for status, _ in got)
    await changing
    assert {200} == set(statuses)
    assert len(statuses) >= 2_000
    await no_nack(daemon, envoy)


def _with(*backends: Backend) -> str:
    return document(service(SHOP, [f"127.0.0.1:{b.port}" for b in backends]))


async def _change(stage: Mesh, backends: list[Backend], envoy: Envoy) -> None:
    for n in range(50):
        added = backends[1 + n % 3]
        stage.write("shop.yaml", _with(backends[0], added))

        async def visible(port: int = added.port) -> bool:
            return f"127.0.0.1:{port}::" in await envoy.clusters()

        await until(visible, f"change {n}")


async def test_a_sidecar_hands_requests_to_the_application_beside_it(stage, variant):
    app = await stage.backend("the application")
    own, port = "127.77.0.1", free_port()
    stage.write("shop.yaml", document(service(SHOP, [f"{own}:{port}"])))
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    server = await stage.envoy(
        daemon,
        "reviews",
        *("--address", own, "--inbound", f"{port}=127.0.0.1:{app.port}"),
        *("--http-listener", f"127.0.0.1:{free_port()}", *variant),
    )
    client = await stage.envoy(daemon, "web", "--http-listener", listener, *variant)
    await until(lambda: answers(listener, SHOP, b"the application"), "an answer through both")
    await no_nack(daemon, server, client)


async def test_an_explicit_listener_carries_http_and_tcp(stage, variant):
    backend = await stage.backend("one")
    stage.write(
        "shop.yaml",
        document(
            service(SHOP, [f"127.0.0.1:{backend.port}"]),
            service("db.shop.mesh", [f"127.0.0.1:{backend.port}"], port=5432, protocol="tcp"),
        ),
    )
    daemon = await stage.daemon()
    http, tcp, routed = (f"127.0.0.1:{free_port()}" for _ in range(3))
    envoy = await stage.envoy(
        daemon,
        "web",
        *("--http-listener", routed),
        *("--outbound", f"{http}={SHOP}:80", "--outbound", f"{tcp}=db.shop.mesh:5432"),
        *variant,
    )
    await until(lambda: answers(http, "anything", b"one"), "an answer on the HTTP listener")
    await until(lambda: answers(tcp, "anything", b"one"), "an answer on the TCP listener")
    await no_nack(daemon, envoy)


async def test_a_unix_socket_and_a_dns_name_are_endpoints_too(stage, variant):
    path = stage.folder / "app.sock"
    await stage.unix_backend("behind a socket", path)
    named = await stage.backend("behind a name")
    stage.write(
        "shop.yaml",
        "services:\n"
        "- hostname: socket.shop.mesh\n"
        "  ports: [{name: http, number: 80}]\n"
        f"  endpoints: [{{address: unix://{path}}}]\n"
        "- hostname: named.shop.mesh\n"
        "  resolution: dns\n"
        "  ports: [{name: http, number: 80}]\n"
        f"  endpoints: [{{address: localhost, ports: {{http: {named.port}}}}}]\n",
    )
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    envoy = await stage.envoy(daemon, "web", "--http-listener", listener, *variant)
    await until(lambda: answers(listener, "socket.shop.mesh", b"behind a socket"), "the socket")
    await until(lambda: answers(listener, "named.shop.mesh", b"behind a name"), "the name")
    await no_nack(daemon, envoy)


async def test_an_unhealthy_endpoint_and_one_without_weight_take_no_traffic(stage, variant):
    good, bad, idle = [await stage.backend(n) for n in ("good", "bad", "idle")]
    stage.write(
        "shop.yaml",
        document(
            service(
                SHOP,
                [
                    f"127.0.0.1:{good.port}",
                    f"127.0.0.1:{bad.port} health=unhealthy",
                    f"127.0.0.1:{idle.port} weight=0",
                ],
            )
        ),
    )
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    envoy = await stage.envoy(daemon, "web", "--http-listener", listener, *variant)
    await until(lambda: answers(listener, SHOP, 200), "200")
    for _ in range(60):
        assert (200, b"good") == await http_get(listener, host=SHOP)
    assert (0, 0) == (bad.requests, idle.requests)
    await no_nack(daemon, envoy)


async def test_private_services_are_seen_in_their_namespaces_only(stage, variant):
    backend = await stage.backend("one")
    text = document(service(SHOP, [f"127.0.0.1:{backend.port}"]))
    stage.write(
        "shop.yaml", text.replace("  ports", '  namespace: shop\n  visibility: ["."]\n  ports')
    )
    daemon = await stage.daemon()
    inside, outside = (f"127.0.0.1:{free_port()}" for _ in range(2))
    one = await stage.envoy(
        daemon, "in", "--namespace", "shop", "--http-listener", inside, *variant
    )
    two = await stage.envoy(daemon, "out", "--http-listener", outside, *variant)
    await until(lambda: answers(inside, SHOP, 200), "200 inside")
    assert (200, b"one") == await http_get(inside, host="reviews")
    await until(lambda: answers(outside, SHOP, 404), "404 outside")
    await no_nack(daemon, one, two)


async def test_a_changed_port_number_makes_a_new_cluster_and_warms_at_once(stage, variant):
    """A cluster that came anew must not wait 15 s for endpoints that the server thinks it sent."""
    backend = await stage.backend("one")
    where = [f"127.0.0.1:{backend.port}"]
    stage.write("shop.yaml", document(service(SHOP, where, protocol="http")))
    daemon = await stage.daemon()
    listener = f"127.0.0.1:{free_port()}"
    envoy = await stage.envoy(daemon, "web", "--http-listener", listener, *variant)
    await until(lambda: answers(listener, SHOP, 200), "200")
    stage.write("shop.yaml", document(service(SHOP, where, port=81)))
    async with asyncio.timeout(5):
        await until(lambda: answers(listener, f"{SHOP}:81", 200), "200 on the new port")
    stage.write("shop.yaml", document(service(SHOP, where, port=81, protocol="http2")))

    async def as_http2() -> bool:
        return await envoy.stat("cluster_manager.warming_clusters") == 0 and await answers(
            listener, f"{SHOP}:81", 502
        )

    async with asyncio.timeout(5):
        await until(as_http2, "the cluster as HTTP/2, warmed")
    await no_nack(daemon, envoy)
