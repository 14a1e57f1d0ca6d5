"""What only a real API server and its controllers show: crashes, silence, rights, slices that the
controller splits, and a proxy that cannot tell a cluster from a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import kube_platforms
import pytest
from kube_platforms import apply, kubeconfig
from objects import Json, node, pod, service
from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig

from kube_server import KubeApi
from pilot_core.adapter import Unavailable
from pilot_core.document import Duration
from pilot_core.testing import RecordingSink, host, session

WEB = "web.shop.svc.cluster.local"
READER = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def server() -> Iterator[KubeApi]:
    server = asyncio.run(kube_platforms.started(KubeApi(controller_manager=True)))
    yield server
    kube_platforms.stop_server(server)


def adapter(server: KubeApi, idle: float = 60) -> Kubernetes:
    config = KubernetesConfig(kubeconfig=server.kubeconfig, idle=Duration(idle))
    return Kubernetes(config, host())


def web_pod(number: int) -> Json:
    made = pod(f"web-{number:03}", f"10.1.{number // 200}.{number % 200 + 1}", account="default")
    made["metadata"]["labels"] = {"app": "web"}
    return made


async def until(sink: RecordingSink, count: int) -> None:
    """The controller's work takes seconds, and the sink's own patience is shorter."""
    async with asyncio.timeout(60):
        while len(sink.addresses(WEB)) != count:
            async with asyncio.timeout(60):
                await _changed(sink)


async def _changed(sink: RecordingSink) -> None:
    seen = len(sink.puts)
    await sink.until(lambda: len(sink.puts) != seen)


async def test_a_service_of_the_controllers_making_splits_and_shrinks_without_a_gap(server):
    await apply(server, node("node-1", region="eu", zone="eu-a"))
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        await apply(server, service("web", selector={"app": "web"}))
        for number in range(120):
            await apply(server, web_pod(number))
        await until(sink, 120)

        slices = await server.call("GET", kube_platforms.collection("EndpointSlice", "shop"))
        assert 2 <= len(slices["items"])
        found = sink.endpoints(WEB)[0].endpoints
        assert {"default"} == {e.service_account for e in found}
        assert {"eu/eu-a"} == {str(e.locality) for e in found}
        assert 120 == len(set(sink.addresses(WEB)))

        for number in range(40):
            path = kube_platforms.collection("Pod", "shop")
            body = {"gracePeriodSeconds": 0}
            await server.call("DELETE", f"{path}/web-{number:03}", body)
        await until(sink, 80)
        assert 80 == len(set(sink.addresses(WEB)))


async def test_a_crash_of_the_server_ends_the_session_and_the_next_one_knows_what_is_gone(server):
    await apply(server, service("kept"))
    await apply(server, service("gone"))
    one = adapter(server)
    sink = RecordingSink()
    running = asyncio.create_task(one.run(sink))
    await sink.until(lambda: sink.is_synced)
    assert "gone.shop.svc.cluster.local" in sink.services

    await server.api.kill()
    with pytest.raises(BaseExceptionGroup) as raised:
        await asyncio.wait_for(running, 30)
    assert raised.group_contains(Unavailable)
    assert "gone.shop.svc.cluster.local" in sink.services

    await server.api.start()
    await server.call("DELETE", f"{kube_platforms.collection('Service', 'shop')}/gone")
    sink.next_session()
    async with session(one, sink):
        await sink.until(lambda: sink.is_synced)
        assert "gone.shop.svc.cluster.local" not in sink.services
        assert "kept.shop.svc.cluster.local" in sink.services


async def test_a_server_that_is_frozen_is_noticed_and_nothing_is_lost(server):
    await apply(server, service("kept"))
    sink = RecordingSink()
    running = asyncio.create_task(adapter(server, idle=2).run(sink))
    await sink.until(lambda: sink.is_synced)
    server.api.suspend()
    try:
        with pytest.raises(BaseExceptionGroup) as raised:
            await asyncio.wait_for(running, 30)
    finally:
        server.api.resume()
    assert raised.group_contains(Unavailable)
    assert "kept.shop.svc.cluster.local" in sink.services


async def test_the_rights_that_the_documentation_names_are_enough(server, tmp_path: Path):
    account = "/api/v1/namespaces/shop/serviceaccounts"
    await server.call("POST", account, {"metadata": {"name": "reader"}})
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "nodes"], "verbs": ["list", "watch"]},
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["list", "watch"],
        },
    ]
    role: Json = {"metadata": {"name": "reader"}, "rules": rules}
    await server.call("POST", f"{READER}/clusterroles", role)
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "reader",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "shop"}],
    }
    await server.call("POST", f"{READER}/clusterrolebindings", binding)
    token = await server.service_account_token("shop", "reader")
    file = kubeconfig(tmp_path / "kubeconfig", server.url, token)
    file.write_text(
        file.read_text().replace(
            f'"server": "{server.url}"',
            f'"server": "{server.url}", "certificate-authority": "{server.ca}"',
        )
    )
    one = Kubernetes(KubernetesConfig(kubeconfig=file), host())
    async with session(one) as sink:
        await sink.until(lambda: sink.is_synced)
        assert "kubernetes.default.svc.cluster.local" in sink.services
        assert [] == sink.problems


async def test_a_namespace_that_is_deleted_takes_its_services_along(server):
    await server.call("POST", "/api/v1/namespaces", {"metadata": {"name": "doomed"}})
    for start in range(0, 500, 20):
        batch = range(start, start + 20)
        await asyncio.gather(*(apply(server, service(f"s{n}", "doomed")) for n in batch))
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert 500 == sum(".doomed." in name for name in sink.services)
        await server.call("DELETE", "/api/v1/namespaces/doomed")
        async with asyncio.timeout(120):
            while any(".doomed." in name for name in sink.services):
                await _changed(sink)
        assert [] == [name for name in sink.services if ".doomed." in name]
