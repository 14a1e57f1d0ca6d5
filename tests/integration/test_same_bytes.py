"""A proxy cannot tell which registry a service comes from: the worked example of the kit."""

from __future__ import annotations

import pytest

import same_bytes
import xds_clients
from http_registry import HttpRegistry
from mesh import mesh
from pilot_core.model import Endpoint, Endpoints, Locality, Port, Protocol, Service
from pilot_core.testing import RecordingSink

CATALOGUE = """\
services:
- hostname: reviews.shop.mesh
  namespace: shop
  ports: [{name: http, number: 80, protocol: http}, {name: grpc, number: 9090}]
  endpoints:
  - {address: 10.0.0.7, ports: {http: 9000, grpc: 9001}, locality: eu/a, workload: reviews-v1}
  - {address: 10.0.0.8, weight: 3, health: draining, locality: eu/b}
- hostname: db.shop.mesh
  namespace: shop
  ports: [{name: mysql, number: 3306}]
  visibility: ["."]
  endpoints: [{address: 10.0.0.9}]
- hostname: mail.example.com
  ports: [{name: smtp, number: 25, protocol: tcp}]
  resolution: dns
  endpoints: [{address: mx.example.com}]
"""
_HTTP = Port("http", 80, Protocol.HTTP)


def _http(url: str) -> str:
    return f"- {{name: web, kind: http, config: {{url: {url}, interval: 100ms}}}}\n"


async def test_a_document_over_http_gives_the_bytes_of_a_file():
    async with mesh() as stage, HttpRegistry(CATALOGUE) as registry:
        daemon = await stage.daemon(_http(registry.url))
        await same_bytes.assert_served(stage, daemon, CATALOGUE)


async def test_every_kind_of_client_is_given_what_it_needs():
    clients = xds_clients.of_world(same_bytes.world_of_text(CATALOGUE))
    assert [
        "sidecar of db.shop.mesh",
        "sidecar of mail.example.com",
        "sidecar of reviews.shop.mesh",
        *(f"{kind} in shop" for kind in ("sidecar", "gateway", "gRPC")),
        *(f"{kind} in default" for kind in ("sidecar", "gateway", "gRPC")),
    ] == [client.name for client in clients]
    async with mesh() as stage:
        stage.write("shop.yaml", CATALOGUE)
        given = await xds_clients.given((await stage.daemon()).xds, clients)
    kinds = {(client, kind) for client, kind, _ in given}
    assert {(c.name, k) for c in clients for k in ("CDS", "EDS", "LDS")} <= kinds
    assert ("sidecar of reviews.shop.mesh", "RDS") in kinds
    assert ("gRPC in shop", "LDS", "db.shop.mesh:3306") in given
    assert ("gRPC in default", "LDS", "db.shop.mesh:3306") not in given
    assert ("sidecar of reviews.shop.mesh", "CDS", "inbound|9000||") in given


async def test_one_weight_that_differs_is_shown_with_its_resource():
    wanted = same_bytes.world_of_text(CATALOGUE)
    other = same_bytes.world_of_text(CATALOGUE.replace("weight: 3", "weight: 4"))
    clients = xds_clients.of_world(wanted)
    plans = [same_bytes.planned(world, clients) for world in (wanted, other)]
    shown = same_bytes.difference(*plans)
    title = "EDS outbound|80||reviews.shop.mesh, for "
    assert f"{title}gRPC in default, gRPC in shop, gateway in default" in shown
    assert 2 == shown.count(title), "once for those that are near, once for all others"
    assert '-   "load_balancing_weight": 3,' in shown
    assert '+   "load_balancing_weight": 4,' in shown
    assert "" == same_bytes.difference(plans[0], plans[0])


def _put(sink: RecordingSink, *endpoints: Endpoint) -> None:
    """The way of a platform that says services and instances one by one."""
    sink.put("services", [Service(hostname="web.mesh", namespace="shop", ports=(_HTTP,))])
    for endpoint in endpoints:
        source = f"instances/{endpoint.address}"
        sink.put(source, [Endpoints(hostname="web.mesh", endpoints=(endpoint,))])


async def test_what_an_adapter_has_put_in_pieces_is_the_same_as_one_entry_of_a_file():
    sink = RecordingSink()
    there = Locality("eu", "a")
    _put(sink, *(Endpoint(addresses=(f"10.0.0.{n}",), locality=there) for n in (2, 1)))
    endpoints = ", ".join(f"{{address: 10.0.0.{n}, locality: eu/a}}" for n in (1, 2))
    entry = (
        "services:\n- hostname: web.mesh\n  namespace: shop\n"
        f"  ports: [{{name: http, number: 80}}]\n  endpoints: [{endpoints}]\n"
    )
    same_bytes.assert_put(sink, entry)
    with pytest.raises(AssertionError, match=r"EDS outbound\|80\|\|web.mesh, for gRPC in shop"):
        same_bytes.assert_put(sink, entry.replace("10.0.0.2", "10.0.0.3"))
    with pytest.raises(AssertionError, match=r"only the file has it"):
        same_bytes.assert_put(RecordingSink(), entry)
