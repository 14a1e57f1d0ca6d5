"""A real Envoy beside a real API server: slices split, merge and drain under load."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from kube_platforms import apply, clear, collection, started
from objects import endpoint, endpoint_slice, node, pod, service

import same_bytes
from kube_server import KubeApi
from mesh import Daemon, Envoy, Mesh, free_port, http_get, mesh, until
from own_network import own_network

pytestmark = pytest.mark.envoy

WEB = "web.shop.svc.cluster.local"
CATALOGUE = """\
services:
- hostname: web.shop.svc.cluster.local
  namespace: shop
  ports: [{name: http, number: 80, protocol: http}, {name: grpc, number: 9090, protocol: grpc}]
  endpoints:
  - {address: 10.1.0.1, ports: {http: 8080, grpc: 9091}, workload: web-00, service_account: web,
     labels: {app: web, version: v1}, locality: eu/eu-a}
  - {address: 10.1.0.2, ports: {http: 8080, grpc: 9091}, workload: web-01, service_account: web,
     labels: {app: web, version: v2}, locality: eu/eu-b, health: draining}
- hostname: db.shop.svc.cluster.local
  namespace: shop
  visibility: ["."]
  ports: [{name: mysql, number: 3306}]
  endpoints: [{address: 192.0.2.9}]
- hostname: mail.shop.svc.cluster.local
  namespace: shop
  resolution: dns
  ports: [{name: smtp, number: 25, protocol: tcp}]
  endpoints: [{address: mx.example.com}]
"""
PODS = {f"web-{n:02}": f"10.1.0.{n + 1}" for n in range(30)}
NAMES = list(PODS)


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    # An API server takes no loopback address for an endpoint.
    with own_network("10.1.0.1/16"):
        yield


@pytest.fixture(scope="module")
def started_server(network: None) -> Iterator[KubeApi]:
    # Without controllers: the test is the one that writes slices, in whatever order it likes.
    made = asyncio.run(started(KubeApi()))
    yield made
    asyncio.run(made.__aexit__(None, None, None))


@pytest.fixture
async def server(started_server: KubeApi) -> KubeApi:
    await clear(started_server)
    return started_server


@pytest.fixture
async def stage() -> AsyncIterator[Mesh]:
    async with mesh() as made:
        yield made


async def write(server: KubeApi, number: int, names: list[str]) -> None:
    """Slice `number` holds these pods now, as the controller would write it."""
    made = endpoint_slice(f"web-{number}", "web", *(endpoint(PODS[n], n) for n in names))
    made["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] = (
        "endpointslice-controller.k8s.io"
    )
    await apply(server, made)


async def deploy(server: KubeApi) -> None:
    await apply(server, node("node-1", region="eu", zone="eu-a"))
    await apply(server, service("web", selector={"app": "web"}))
    for name, address in PODS.items():
        await apply(server, pod(name, address))
    await write(server, 1, NAMES)


async def daemon_over(stage: Mesh, server: KubeApi, more: str = "") -> Daemon:
    config = f"{{kubeconfig: {server.kubeconfig}{more}}}"
    return await stage.daemon(f"- {{name: cluster, kind: kubernetes, config: {config}}}\n")


async def hosts(envoy: Envoy) -> list[str]:
    """The addresses that Envoy balances the service over, and that take new requests."""
    _, body = await http_get(envoy.admin, "/clusters?format=json")
    found = [c for c in json.loads(body)["cluster_statuses"] if WEB in c["name"]]
    statuses = [h for c in found for h in c.get("host_statuses", ())]
    return sorted(
        h["address"]["socket_address"]["address"]
        for h in statuses
        if h["health_status"]["eds_health_status"] == "HEALTHY"
    )


class Seen:
    """What a caller and Envoy saw while something went on."""

    def __init__(self) -> None:
        self.statuses: set[int] = set()
        self.sizes: set[tuple[int, int]] = set()
        """(hosts, different hosts)"""


@contextlib.asynccontextmanager
async def watched(envoy: Envoy, listener: str) -> AsyncIterator[Seen]:
    """Requests, and looks at Envoy's hosts, one after the other while the block lasts."""
    seen, stop = Seen(), asyncio.Event()

    async def call() -> None:
        while not stop.is_set():
            seen.statuses.add((await http_get(listener, host=WEB))[0])

    async def look() -> None:
        while not stop.is_set():
            found = await hosts(envoy)
            seen.sizes.add((len(found), len(set(found))))

    async with asyncio.TaskGroup() as group:
        group.create_task(call())
        group.create_task(look())
        try:
            yield seen
        finally:
            stop.set()


async def deploy_catalogue(server: KubeApi) -> None:
    """What CATALOGUE says, in the words of the platform."""
    ports = [{"name": "http", "port": 8080}, {"name": "grpc", "port": 9091}]
    leaving = {"ready": False, "serving": True, "terminating": True}
    db = service("db", clusterIP="None", ports=[{"name": "mysql", "port": 3306}])
    db["metadata"]["annotations"] = {"networking.istio.io/exportTo": "."}
    smtp = [{"name": "smtp", "port": 25}]
    for made in (
        node("node-1", region="eu", zone="eu-a"),
        node("node-2", region="eu", zone="eu-b"),
        service(
            "web",
            ports=[{"name": "http", "port": 80}, {"name": "grpc", "port": 9090}],
        ),
        pod("web-00", "10.1.0.1", labels={"app": "web", "version": "v1"}),
        pod("web-01", "10.1.0.2", labels={"app": "web", "version": "v2"}, node="node-2"),
        endpoint_slice("web-a", "web", endpoint("10.1.0.1", "web-00"), ports=ports),
        endpoint_slice(
            "web-b", "web", endpoint("10.1.0.2", "web-01", conditions=leaving), ports=ports
        ),
        db,
        endpoint_slice(
            "db-a", "db", endpoint("192.0.2.9"), ports=[{"name": "mysql", "port": 3306}]
        ),
        service("mail", type="ExternalName", externalName="mx.example.com", ports=smtp),
    ):
        await apply(server, made)


async def test_a_proxy_cannot_tell_a_cluster_from_a_file(stage, server):
    await deploy_catalogue(server)
    daemon = await daemon_over(stage, server, ", namespaces: [shop]")
    await same_bytes.assert_served(stage, daemon, CATALOGUE)


async def test_no_request_fails_and_no_endpoint_blinks_while_slices_split_merge_and_drain(
    stage, server
):
    await deploy(server)
    await stage.backend("a pod", "0.0.0.0", 8080)
    daemon = await daemon_over(stage, server)
    listener = f"127.0.0.1:{free_port()}"
    envoy = await stage.envoy(daemon, "caller", "--namespace", "shop", "--http-listener", listener)
    await until(lambda: has(envoy, PODS.values()), "all endpoints in Envoy")
    await until(lambda: answers(listener), "an answer")

    async with watched(envoy, listener) as seen:
        for _ in range(3):
            # Out of one slice, and only then into the next ones: what is in none must stay.
            await write(server, 1, NAMES[:10])
            await write(server, 2, NAMES[10:20])
            await write(server, 3, NAMES[20:])
            # Into one while they are in others still: what is in two must be there once.
            await write(server, 1, NAMES)
            await write(server, 3, [])
            await write(server, 2, [])
    assert {200} == seen.statuses
    assert {(30, 30)} == seen.sizes

    async with watched(envoy, listener) as seen:
        await drain(server, "web-00")
        await until(lambda: has(envoy, list(PODS.values())[1:]), "the draining pod to be left out")
        await remove(server, "web-00")
    assert {200} == seen.statuses
    assert {(30, 30), (29, 29)} == seen.sizes
    assert [] == await daemon.nacks()
    assert 0 == await envoy.rejected()


async def drain(server: KubeApi, name: str) -> None:
    leaving = {"ready": False, "serving": True, "terminating": True}
    ends = [endpoint(PODS[n], n, **({"conditions": leaving} if n == name else {})) for n in NAMES]
    await apply(server, endpoint_slice("web-1", "web", *ends))


async def remove(server: KubeApi, name: str) -> None:
    await write(server, 1, [n for n in NAMES if n != name])
    await server.call("DELETE", f"{collection('Pod', 'shop')}/{name}", {"gracePeriodSeconds": 0})


async def has(envoy: Envoy, wanted: object) -> bool:
    return await hosts(envoy) == sorted(wanted)  # type: ignore[call-overload]


async def answers(listener: str) -> bool:
    return (await http_get(listener, host=WEB))[0] == 200
