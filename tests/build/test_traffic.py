"""What the built configuration does to requests, in a real Envoy without a server behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from envoy_config import bootstrap, standalone, validate
from mesh import Backend, Envoy, free_port, http_get, until
from pilot_core.model import Endpoint, Health, Port, Proxy, World
from pilot_xds.rendering import translate
from worlds import endpoint, service, world

pytestmark = pytest.mark.envoy

NAME = "reviews.shop.mesh"


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    made = Backend("alive")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def envoy(tmp_path: Path) -> AsyncIterator[Envoy]:
    made = Envoy(tmp_path, "envoy")
    yield made
    if made.child is not None:
        await made.child.kill()
    # The backends' connections end with it.
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=5)


async def serve(envoy: Envoy, made: World, *, tcp: str = "") -> str:
    """Start the Envoy of a sidecar in this world; the address of its HTTP listener."""
    listen = f"127.0.0.1:{free_port()}"
    outbound = ((tcp, f"{NAME}:81"),) if tcp else ()
    proxy = Proxy(id="p", namespace="shop", http_listener=listen, outbound=outbound)
    path = envoy.folder / "standalone.json"
    path.write_text(json.dumps(standalone(translate(made, proxy))))
    await envoy.run(path)
    await until(lambda: http_get(listen, host=NAME), "the HTTP listener")
    return listen


def at(port: int, **more: object) -> Endpoint:
    return endpoint("127.0.0.1", ports=(("http", port), ("raw", port)), **more)


def reviews(*endpoints: Endpoint) -> World:
    ports = (service(NAME).ports[0], Port("raw", 81))
    return world(service(NAME, ports=ports), reviews=endpoints)


async def test_an_endpoint_that_has_gone_costs_no_request(envoy, backend):
    listener = await serve(envoy, reviews(at(backend.port), at(free_port())))
    answers = [await http_get(listener, host=NAME, method="POST") for _ in range(20)]
    assert {(200, b"alive")} == set(answers)
    assert 0 < await envoy.stat(r"cluster\.outbound.80..reviews.*\.upstream_cx_connect_fail")


async def test_the_words_that_ask_for_another_attempt_do_not_reach_the_application(envoy):
    echo = Echo("echo")
    await echo.start()
    listener = await serve(envoy, reviews(at(echo.port)))
    _, head = await http_get(listener, host=NAME)
    await echo.stop()
    assert b"host: " + NAME.encode() in head
    assert b"x-envoy" not in head


async def test_an_endpoint_that_has_gone_costs_no_connection_either(envoy, backend):
    listen = f"127.0.0.1:{free_port()}"
    await serve(envoy, reviews(at(backend.port), at(free_port())), tcp=listen)
    assert {(200, b"alive")} == {await http_get(listen) for _ in range(10)}


async def test_only_the_healthy_take_traffic_and_nobody_where_there_is_none(envoy, backend):
    listener = await serve(envoy, reviews(at(backend.port, health=Health.UNHEALTHY)))
    status, _ = await http_get(listener, host=NAME)
    assert 503 == status
    assert 0 == backend.requests


async def test_the_names_of_a_service_and_nobody_else_s(envoy, backend):
    listener = await serve(envoy, reviews(at(backend.port)))
    for host in (NAME, f"{NAME}:80", "reviews", "reviews:80", "REVIEWS.shop.mesh"):
        assert (200, b"alive") == await http_get(listener, host=host)
    for host in ("ratings.shop.mesh", f"{NAME}:81"):
        assert 404 == (await http_get(listener, host=host))[0]


def test_envoy_s_objections_are_noticed(tmp_path: Path):
    made = translate(reviews(at(80)), Proxy(id="p", namespace="shop"))
    hosts = made["routes"][0]["virtual_hosts"]
    hosts.append({**hosts[0], "name": "again"})
    assert "Only unique values for domains are permitted" in validate(bootstrap(made), tmp_path)


class Echo(Backend):
    """Answers with the head of the request."""

    async def _serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(head) + head)
        await writer.drain()
        writer.close()
