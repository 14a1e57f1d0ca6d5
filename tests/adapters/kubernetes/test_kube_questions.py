"""The fake answers as a real API server does: one set of questions, put to both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from fake_kube_api import FakeKubeApi
from kube_platforms import apply, clear, run_server, stop_server
from objects import Json, service
from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig

from kube_server import KubeApi
from pilot_core.testing import host, session

SERVICES = "/api/v1/services"
INITIAL = {
    "watch": "1",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
    "fieldSelector": "metadata.namespace=shop",
}


class Asked:
    """One of the two, and how to ask it."""

    def __init__(self, server: KubeApi | FakeKubeApi) -> None:
        self.server = server
        tls = server.tls if isinstance(server, KubeApi) else None
        self.client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls or True))

    async def put(self, *objects: Json) -> None:
        for made in objects:
            if isinstance(self.server, FakeKubeApi):
                await self.server.put(made)
            else:
                await apply(self.server, made)

    async def get(self, path: str, token: str = "", **query: str) -> tuple[int, Json]:
        headers = {"authorization": f"Bearer {token or self.server.token}"}
        url = self.server.url + path
        async with self.client.get(url, params=query, headers=headers) as answer:
            return answer.status, json.loads(await answer.text())

    async def events(self, count: int, **query: str) -> list[Json]:
        """The first lines of a watch, or the refusal of it as one."""
        headers = {"authorization": f"Bearer {self.server.token}"}
        url, found = self.server.url + SERVICES, []
        async with self.client.get(url, params=query, headers=headers) as answer:
            if answer.status != 200:
                return [{"type": "ERROR", "object": json.loads(await answer.text())}]
            async with asyncio.timeout(30):
                while len(found) < count:
                    found.append(json.loads(await answer.content.readline()))
        return found


@pytest.fixture(scope="module")
def real() -> Iterator[KubeApi]:
    server = run_server()
    yield server
    stop_server(server)


@pytest.fixture(params=["real", "fake"])
async def asked(real: KubeApi, request: pytest.FixtureRequest) -> AsyncIterator[Asked]:
    server: Any = FakeKubeApi()
    if request.param == "real":
        server = real
        await clear(server)
    else:
        await server.start()
    one = Asked(server)
    await one.put(*(service(name) for name in ("a", "b", "c")))
    yield one
    await one.client.close()
    if isinstance(server, FakeKubeApi):
        await server.stop()


async def test_initial_events_end_with_a_bookmark_that_says_so(asked):
    events = await asked.events(4, **INITIAL)
    assert ["ADDED", "ADDED", "ADDED", "BOOKMARK"] == [e["type"] for e in events]
    assert ["a", "b", "c"] == sorted(e["object"]["metadata"]["name"] for e in events[:3])
    meta = events[3]["object"]["metadata"]
    assert "true" == meta["annotations"]["k8s.io/initial-events-end"]
    assert int(meta["resourceVersion"]) >= max(
        int(e["object"]["metadata"]["resourceVersion"]) for e in events[:3]
    )


async def test_changes_come_in_their_order_with_their_kinds(asked):
    _, listed = await asked.get(SERVICES)
    version = listed["metadata"]["resourceVersion"]
    await asked.put(service("d"))
    changed = service("d", ports=[{"name": "grpc", "port": 9}])
    await asked.put(changed)
    events = await asked.events(2, watch="1", resourceVersion=version)
    assert [("ADDED", "d"), ("MODIFIED", "d")] == [
        (e["type"], e["object"]["metadata"]["name"]) for e in events
    ]


async def test_a_list_is_cut_into_pages(asked):
    path = "/api/v1/namespaces/shop/services"
    status, first = await asked.get(path, limit="2")
    assert (200, 2) == (status, len(first["items"]))
    token = first["metadata"]["continue"]
    _, rest = await asked.get(path, limit="2", **{"continue": token})
    assert 1 == len(rest["items"])
    assert not rest["metadata"].get("continue")
    names = sorted(item["metadata"]["name"] for item in first["items"] + rest["items"])
    assert ["a", "b", "c"] == names


async def test_a_version_that_is_forgotten_is_gone(asked):
    if isinstance(asked.server, FakeKubeApi):
        await asked.server.forget()
    else:
        await asked.server.api.restart()  # it remembers what happens from then on
    [event] = await asked.events(1, watch="1", resourceVersion="1")
    assert ("ERROR", 410, "Expired") == (
        event["type"],
        event["object"]["code"],
        event["object"]["reason"],
    )


async def test_who_is_unknown_and_what_is_unknown(asked):
    assert 401 == (await asked.get(SERVICES, token="nobody's"))[0]
    status, body = await asked.get("/api/v1/no-such-things")
    assert 404 == status
    assert "could not find" in json.dumps(body)


async def test_a_real_server_is_asked_for_initial_events(real):
    """Its own metrics tell that lists came as watches."""
    await clear(real)
    config = KubernetesConfig(kubeconfig=real.kubeconfig)
    before = await _watches(real)
    async with session(Kubernetes(config, host())) as sink:
        await sink.until(lambda: sink.is_synced)
    assert before < await _watches(real)


async def _watches(server: KubeApi) -> int:
    """How many lists have been streamed to anybody."""
    metrics = str(await server.call("GET", "/metrics"))
    lines = [
        line
        for line in metrics.splitlines()
        if line.startswith("apiserver_watch_list_duration_seconds_count")
    ]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)
