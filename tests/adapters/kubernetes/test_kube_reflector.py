"""List and watch on both servers, and every fault that a server can answer with."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from fake_kube_api import FakeKubeApi
from kube_platforms import kubeconfig
from objects import endpoint, endpoint_slice, node, pod, service
from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig

from pilot_core.adapter import Denied, Unavailable
from pilot_core.document import Duration
from pilot_core.testing import FakeClock, RecordingSink, host, session

WEB = "web.shop.svc.cluster.local"
WORLD = (
    service("web"),
    pod("a", "10.1.0.1"),
    endpoint_slice("web-1", "web", endpoint("10.1.0.1", "a")),
    node("node-1", region="eu"),
)


@pytest.fixture
async def server():
    fake = FakeKubeApi()
    await fake.start()
    await fake.put(*WORLD)
    yield fake
    await fake.stop()


def adapter(
    server: FakeKubeApi, folder: Path, clock: FakeClock | None = None, **settings: Any
) -> Kubernetes:
    file = kubeconfig(folder / "kubeconfig", server.url, server.token)
    return Kubernetes(KubernetesConfig(kubeconfig=file, **settings), host(clock))


def lists(server: FakeKubeApi, plural: str) -> int:
    """How often everything of the kind was asked for."""
    asked = [query for name, query in server.requests if name == plural]
    return sum("resourceVersion" not in q or q["resourceVersion"] == "" for q in asked)


async def test_everything_comes_as_initial_events_and_then_live(server, tmp_path):
    async with session(adapter(server, tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["10.1.0.1"] == sink.addresses(WEB)
        assert "eu" == sink.endpoints(WEB)[0].endpoints[0].locality.region

        await server.put(pod("b", "10.1.0.2"))
        await server.put(endpoint_slice("web-2", "web", endpoint("10.1.0.2", "b")))
        await sink.until(lambda: sink.addresses(WEB) == ["10.1.0.1", "10.1.0.2"])
    assert {"1"} == {query.get("watch") for _, query in server.requests}


async def test_a_server_without_initial_events_is_listed_in_pages_and_asked_once(server, tmp_path):
    server.streams = False
    await server.put(*(service(f"s{n}") for n in range(1200)))
    async with session(adapter(server, tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert 1201 == len(sink.services)
        await server.forget()
        await server.put(service("last"))
        await sink.until(lambda: "last.shop.svc.cluster.local" in sink.services)

    asked = [query for name, query in server.requests if name == "services"]
    assert 1 == sum("sendInitialEvents" in query for query in asked)
    assert 2 <= sum("continue" in query for query in asked)


async def test_a_version_that_is_forgotten_is_listed_anew_and_only_differences_are_told(
    server, tmp_path
):
    async with session(adapter(server, tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        before = lists(server, "services")
        sink.puts.clear()
        await server.drop(service("web"))
        await server.forget()
        await server.put(service("api"))
        await sink.until(lambda: "api.shop.svc.cluster.local" in sink.services)
        assert WEB not in sink.services
        assert {"service/shop/api", "service/shop/web"} == set(sink.puts)
    assert before < lists(server, "services")


async def test_a_list_whose_pages_expire_begins_again(server, tmp_path):
    server.streams = False
    await server.put(*(service(f"s{n}") for n in range(600)))
    server.refusals["services"] = deque([(410, {})] * 2)
    async with session(adapter(server, tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert 601 == len(sink.services)


async def test_a_watch_that_ends_goes_on_from_where_it_was(server, tmp_path):
    async with session(adapter(server, tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        before = lists(server, "services")
        await server.cut()
        await server.put(service("api"))
        await sink.until(lambda: "api.shop.svc.cluster.local" in sink.services)
    assert before == lists(server, "services")


async def test_a_server_that_says_nothing_any_more_is_noticed(server, tmp_path):
    one = adapter(server, tmp_path, idle=Duration(1))
    sink = RecordingSink()
    running = asyncio.create_task(one.run(sink))
    await sink.until(lambda: sink.is_synced)
    server.silent = True

    with pytest.raises(BaseExceptionGroup) as raised:
        await asyncio.wait_for(running, 30)
    assert raised.group_contains(Unavailable, match="cannot be reached")
    assert ["10.1.0.1"] == sink.addresses(WEB)


async def test_a_right_that_is_taken_away_harms_its_kind_alone(server, tmp_path):
    clock = FakeClock()
    async with session(adapter(server, tmp_path, clock)) as sink:
        await sink.until(lambda: sink.is_synced)
        server.refusals["pods"] = deque([(403, {})])
        await server.cut()
        await clock.until_sleepers(4)
        await clock.advance(1.0)
        await sink.until(lambda: sink.problems)
        assert ["cannot list pods at /api/v1/pods: 403 as the test wants it"] == [
            message for _, message in sink.problems
        ]
        assert ["10.1.0.1"] == sink.addresses(WEB)

        await server.put(service("api"))
        await sink.until(lambda: "api.shop.svc.cluster.local" in sink.services)

        await clock.advance(30.0)
        await sink.until(lambda: not sink.problems)
        await server.put(pod("a", "10.1.0.1", account="new"))
        await sink.until(lambda: sink.endpoints(WEB)[0].endpoints[0].service_account == "new")


async def test_a_first_list_that_is_refused_ends_the_session_with_the_missing_right(
    server, tmp_path
):
    server.refusals["endpointslices"] = deque([(403, {})])
    with pytest.raises(BaseExceptionGroup) as raised:
        await adapter(server, tmp_path).run(RecordingSink())

    assert raised.group_contains(Denied, match="cannot list endpointslices at /apis/discovery")


async def test_nodes_that_may_not_be_read_cost_places_and_nothing_else(server, tmp_path):
    server.refusals["nodes"] = deque([(403, {})])
    async with session(adapter(server, tmp_path, FakeClock())) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["10.1.0.1"] == sink.addresses(WEB)
        assert "" == sink.endpoints(WEB)[0].endpoints[0].locality.region
        assert "cannot list nodes" in sink.problems[0][1]


async def test_a_busy_server_is_asked_again_when_it_says(server, tmp_path):
    clock = FakeClock()
    server.refusals["pods"] = deque([(429, {"Retry-After": "7"})])
    async with session(adapter(server, tmp_path, clock)) as sink:
        await clock.until_sleepers()
        await clock.advance(6.9)
        assert not sink.is_synced
        await clock.advance(0.2)
        await sink.until(lambda: sink.is_synced)


async def test_a_token_that_has_rotated_is_read_again(server, tmp_path):
    one = adapter(server, tmp_path)
    async with session(one) as sink:
        await sink.until(lambda: sink.is_synced)
        server.token = "second"
        kubeconfig(tmp_path / "kubeconfig", server.url, "second")
        await server.cut()
        await server.put(service("api"))
        await sink.until(lambda: "api.shop.svc.cluster.local" in sink.services)


async def test_one_malformed_object_among_many_harms_itself_alone(server, tmp_path):
    await server.put(*(service(f"s{n}") for n in range(300)))
    await server.put(service("bad", ports=[{"port": "eighty"}]))
    async with session(adapter(server, tmp_path)) as sink:
        await sink.until(lambda: sink.is_synced)
        assert 301 == len(sink.services)
        assert "services shop/bad" in sink.problems[0][1]

        await server.put(service("bad"))
        await sink.until(lambda: 302 == len(sink.services))
        assert [] == sink.problems


async def test_a_malformed_object_that_goes_away_during_an_outage_is_no_problem_any_more(
    server, tmp_path
):
    await server.put(service("bad", ports=7))
    async with session(adapter(server, tmp_path)) as sink:
        await sink.until(lambda: sink.problems)
        await server.drop(service("bad"))
        await server.forget()
        await sink.until(lambda: not sink.problems)


async def test_only_the_namespaces_that_are_named_are_seen(server, tmp_path):
    await server.put(service("api", "bank"), service("secret", "hidden"))
    async with session(adapter(server, tmp_path, namespaces=("shop", "bank"))) as sink:
        await sink.until(lambda: sink.is_synced)
        assert ["api.bank.svc.cluster.local", WEB] == sink.hostnames
        await server.put(service("more", "hidden"), service("more", "bank"))
        await sink.until(lambda: "more.bank.svc.cluster.local" in sink.services)
        assert 3 == len(sink.services)


async def test_a_kubeconfig_that_is_not_there_is_an_outage_and_a_finding(tmp_path):
    missing = KubernetesConfig(kubeconfig=tmp_path / "none")

    assert ["there is no such kubeconfig file"] == [f.message for f in Kubernetes.check(missing)]
    with pytest.raises(BaseExceptionGroup) as raised:
        await Kubernetes(missing, host()).run(RecordingSink())
    assert raised.group_contains(Unavailable, match="cannot be used")
