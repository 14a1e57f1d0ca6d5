"""Changes on a real API server, one after the other, and what the mesh makes of each."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from kube_platforms import apply, clear, collection, run_server, stop_server
from objects import Json, endpoint, endpoint_slice, node, pod, service
from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig

from kube_server import KubeApi
from pilot_core.model import Endpoint, Protocol, Resolution
from pilot_core.testing import RecordingSink, host, session

WEB = "web.shop.svc.cluster.local"
SERVICES = collection("Service", "shop")


@pytest.fixture(scope="module")
def running() -> Iterator[KubeApi]:
    server = run_server()
    yield server
    stop_server(server)


@pytest.fixture
async def server(running: KubeApi) -> KubeApi:
    await clear(running)
    for namespace in ("evil", "bank"):
        await create_namespace(running, namespace)
        await clear(running, namespace)
    return running


async def create_namespace(server: KubeApi, name: str) -> None:
    there = await server.call("GET", "/api/v1/namespaces")
    if name not in [item["metadata"]["name"] for item in there["items"]]:
        await server.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})


def adapter(server: KubeApi, **settings: Any) -> Kubernetes:
    return Kubernetes(KubernetesConfig(kubeconfig=server.kubeconfig, **settings), host())


async def remove(server: KubeApi, kind: str, name: str, namespace: str = "shop") -> None:
    path = f"{collection(kind, namespace)}/{name}"
    await server.call("DELETE", path, {"gracePeriodSeconds": 0})


def found(sink: RecordingSink) -> list[Endpoint]:
    return [e for record in sink.endpoints(WEB) for e in record.endpoints]


async def test_a_slice_and_its_pod_come_in_either_order_and_one_may_never_come(server):
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        await apply(server, service("web"))
        await apply(server, endpoint_slice("w1", "web", endpoint("10.1.0.1", "late")))
        await apply(server, endpoint_slice("w2", "web", endpoint("10.1.0.2", "never")))
        await apply(server, pod("early", "10.1.0.3"))
        await apply(server, endpoint_slice("w3", "web", endpoint("10.1.0.3", "early")))
        await sink.until(lambda: sink.addresses(WEB) == ["10.1.0.3"])
        await apply(server, pod("late", "10.1.0.1"))
        await sink.until(lambda: sink.addresses(WEB) == ["10.1.0.1", "10.1.0.3"])

        await remove(server, "EndpointSlice", "w2")
        await apply(server, pod("never", "10.1.0.2"))
        await apply(server, service("last"))
        await sink.until(lambda: "last.shop.svc.cluster.local" in sink.services)
        assert ["10.1.0.1", "10.1.0.3"] == sink.addresses(WEB)


async def test_an_address_that_moves_to_another_namespace_never_has_the_old_identity(server):
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        await apply(server, service("web"))
        await apply(server, pod("a", "10.1.0.1", account="good"))
        await apply(server, endpoint_slice("w1", "web", endpoint("10.1.0.1", "a")))
        await sink.until(lambda: [e.service_account for e in found(sink)] == ["good"])

        # The slice still says what it said: whoever writes slices is slower than the kubelet.
        await apply(server, pod("thief", "10.1.0.1", namespace="evil", account="good"))
        await sink.until(lambda: found(sink) == [])
        await remove(server, "Pod", "thief", "evil")
        await sink.until(lambda: [e.service_account for e in found(sink)] == ["good"])


async def test_labels_and_readiness_of_a_pod_and_the_place_of_its_node_are_followed(server):
    await apply(server, node("node-7"))
    await apply(server, service("web"))
    await apply(server, service("other"))
    await apply(server, pod("a", "10.1.0.1", node="node-7"))
    entry = endpoint("10.1.0.1", "a", nodeName="node-7")
    await apply(server, endpoint_slice("w1", "web", entry))
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        sink.puts.clear()
        labels = {"metadata": {"labels": {"version": "v2"}}}
        await server.call("PATCH", f"{collection('Pod', 'shop')}/a", labels)
        await sink.until(lambda: ("version", "v2") in found(sink)[0].labels)
        assert {"service/shop/web"} == set(sink.puts)

        await apply(server, node("node-7", region="eu", zone="eu-b"))
        await sink.until(lambda: str(found(sink)[0].locality) == "eu/eu-b")
        await server.call("DELETE", f"{collection('Node', '')}/node-7")
        await sink.until(lambda: not found(sink)[0].locality.region)

        gone = endpoint("10.1.0.1", "a", conditions={"ready": False})
        await apply(server, endpoint_slice("w1", "web", gone))
        await sink.until(lambda: found(sink)[0].health == "unhealthy")


async def replace(server: KubeApi, name: str, **spec: Any) -> None:
    await server.call("PATCH", f"{SERVICES}/{name}", {"spec": spec})


async def test_a_service_changes_all_that_it_can(server):
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        await apply(server, service("web", clusterIP="None"))
        await sink.until(lambda: WEB in sink.services)
        assert () == sink.services[WEB].addresses

        # An address is for life: to have another kind of one is to be made again.
        await remove(server, "Service", "web")
        await apply(server, service("web"))
        await sink.until(lambda: WEB in sink.services and sink.services[WEB].addresses)
        named: Json = {"name": "api", "port": 80, "targetPort": 8080}
        await replace(server, "web", ports=[named])
        await sink.until(lambda: [p.name for p in sink.services[WEB].ports] == ["api"])
        await replace(server, "web", ports=[{**named, "appProtocol": "kubernetes.io/h2c"}])
        await sink.until(lambda: sink.services[WEB].ports[0].protocol is Protocol.HTTP2)
        await replace(server, "web", ports=[named, {"name": "admin", "port": 81}])
        await sink.until(lambda: len(sink.services[WEB].ports) == 2)
        outside = {"type": "ExternalName", "externalName": "a.example.com", "clusterIP": None}
        await replace(server, "web", **outside, clusterIPs=None)
        await sink.until(lambda: sink.services[WEB].resolution is Resolution.DNS)
        assert ["a.example.com"] == sink.addresses(WEB)


async def test_a_selector_on_namespaces_is_followed_as_their_labels_change(server):
    await apply(server, service("web"))
    await apply(server, service("api", "bank"))
    api = "api.bank.svc.cluster.local"

    async def mark(namespace: str, value: str | None) -> None:
        body = {"metadata": {"labels": {"mesh": value}}}
        await server.call("PATCH", f"/api/v1/namespaces/{namespace}", body)

    await mark("shop", "on")
    await mark("bank", None)
    async with session(adapter(server, namespace_selector="mesh=on")) as sink:
        await sink.until(lambda: sink.is_synced)
        assert {WEB} == set(sink.services)
        await mark("bank", "on")
        await sink.until(lambda: {WEB, api} == set(sink.services))
        await mark("shop", "off")
        await sink.until(lambda: {api} == set(sink.services))
        await mark("shop", "on")
        await sink.until(lambda: {WEB, api} == set(sink.services))


async def test_a_server_that_begins_anew_with_another_store_is_read_anew(server):
    await apply(server, service("web"))
    await apply(server, pod("a", "10.1.0.1", account="before"))
    await apply(server, endpoint_slice("w1", "web", endpoint("10.1.0.1", "a")))
    await apply(server, service("gone"))
    one, sink = adapter(server), RecordingSink()
    ended = asyncio.create_task(one.run(sink))
    await sink.until(lambda: sink.is_synced)
    assert ["before"] == [e.service_account for e in found(sink)]

    await server.api.kill()
    await server.etcd.kill()
    shutil.rmtree(server.folder / "etcd")
    await asyncio.wait([ended])
    assert ended.exception() is not None
    await server.etcd.start()
    await server.api.start()
    await create_namespace(server, "shop")
    await apply(server, service("web"))
    await apply(server, pod("a", "10.1.0.1", account="after"))
    await apply(server, endpoint_slice("w1", "web", endpoint("10.1.0.1", "a")))
    assert ["before"] == [e.service_account for e in found(sink)]
    sink.next_session()
    async with session(one, sink):
        await sink.until(lambda: sink.is_synced)
        assert ["after"] == [e.service_account for e in found(sink)]
        assert "gone.shop.svc.cluster.local" not in sink.services
