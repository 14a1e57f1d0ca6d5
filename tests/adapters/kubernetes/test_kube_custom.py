"""Custom resources of a real API server as records: installed late, switched, taken away, wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kube_definitions import NAME, entry, install, objects_of, serve, uninstall
from kube_platforms import run_server, stop_server
from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig

from kube_server import KubeApi
from pilot_core.adapter import ConfigError
from pilot_core.testing import RecordingSink, host, session

HOST = "payments.example.com"


@pytest.fixture(scope="module")
def running() -> Iterator[KubeApi]:
    server = run_server()
    yield server
    stop_server(server)


@pytest.fixture
async def server(running: KubeApi) -> KubeApi:
    await uninstall(running)
    return running


def adapter(server: KubeApi) -> Kubernetes:
    config = KubernetesConfig(kubeconfig=server.kubeconfig, custom_resources=(NAME,))
    return Kubernetes(config, host())


async def put(
    server: KubeApi, name: str, address: str, version: str = "v1", **spec: object
) -> None:
    await server.call("POST", objects_of(version), entry(name, address, version, **spec))


async def change(server: KubeApi, name: str, **spec: object) -> None:
    await server.call("PATCH", f"{objects_of('v1')}/{name}", {"spec": spec})


async def test_a_resource_that_is_installed_later_and_taken_away_again(server):
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert HOST not in sink.services

        await install(server)
        await put(server, "payments", "10.3.0.1")
        await sink.until(lambda: sink.addresses(HOST) == ["10.3.0.1"])
        assert "shop" == sink.services[HOST].namespace
        assert f"custom/{NAME}/shop/payments" in sink.sources

        await change(server, "payments", endpoints=[{"address": "10.3.0.2"}])
        await sink.until(lambda: sink.addresses(HOST) == ["10.3.0.2"])
        await uninstall(server)
        await sink.until(lambda: HOST not in sink.services)
        assert [] == sink.problems

        await install(server)
        await put(server, "payments", "10.3.0.3")
        await sink.until(lambda: sink.addresses(HOST) == ["10.3.0.3"])


async def test_what_is_there_at_the_start_belongs_to_the_first_view(server):
    await install(server)
    for number in range(20):
        await put(server, f"s{number}", f"10.3.0.{number + 1}")
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert 20 == sum(name.endswith(".example.com") for name in sink.synced_with or {})


class Watched(RecordingSink):
    """Remembers every set of addresses that the host ever had."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, ...]] = set()

    def put(self, source: str, records: object) -> None:
        super().put(source, records)  # type: ignore[arg-type]
        self.seen.add(tuple(self.addresses(HOST)))


async def test_other_versions_change_nothing(server):
    await install(server, "v1beta1")
    await put(server, "payments", "10.3.0.1", "v1beta1")
    await put(server, "old", "10.3.0.8", "v1beta1")
    sink = Watched()
    async with session(adapter(server), sink):
        await sink.until(lambda: sink.is_synced)
        sink.seen.clear()
        await serve(server, "v1", "v1beta1")
        await serve(server, "v1")
        await put(server, "api", "10.3.0.2")
        await sink.until(lambda: "api.example.com" in sink.services)
        assert {("10.3.0.1",)} == sink.seen
        await server.call("DELETE", f"{objects_of('v1')}/old")
        await sink.until(lambda: "old.example.com" not in sink.services)
        assert [] == sink.problems


async def test_an_object_that_is_wrong_is_told_and_keeps_what_it_last_said(server):
    await install(server)
    await put(server, "payments", "10.3.0.1")
    async with session(adapter(server)) as sink:
        await sink.until(lambda: sink.is_synced)
        await change(server, "payments", resolution="STATICK")
        await put(server, "api", "10.3.0.2")
        await sink.until(lambda: "api.example.com" in sink.services and sink.problems)
        [(origin, text)] = sink.problems
        assert "serviceentries/shop/payments" == origin
        assert "ServiceEntry shop/payments: spec.resolution: expected one of" in text
        assert 'did you mean "STATIC"?' in text
        assert ["10.3.0.1"] == sink.addresses(HOST)

        await change(server, "payments", resolution="STATIC", endpoints=[{"address": "10.3.0.9"}])
        await sink.until(lambda: sink.addresses(HOST) == ["10.3.0.9"])
        assert [] == sink.problems


def test_a_resource_that_nobody_reads_is_a_wrong_setting():
    with pytest.raises(ConfigError, match=f'did you mean "{NAME}"'):
        KubernetesConfig(custom_resources=("serviceentrys.networking.istio.io",))
