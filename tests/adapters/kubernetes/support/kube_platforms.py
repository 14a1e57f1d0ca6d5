"""Clusters for tests of the adapter: the real API server and the fake, behind one face."""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any

import msgspec
from fake_kube_api import FakeKubeApi
from objects import SLICE_GROUP, Json, endpoint, endpoint_slice, service
from pilot_adapter_kubernetes.adapter import ClustersConfig, KubernetesConfig

import server_process
from kube_server import KubeApi
from pilot_core.document import Duration
from pilot_core.testing import Platform, Services

# The adapter imports it when it runs; from a cold disk that takes longer than tests have patience.
importlib.import_module("kubernetes.client")
IDLE = Duration(20)


def kubeconfig(path: Path, url: str, token: str) -> Path:
    said = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "me"}}],
        "current-context": "test",
    }
    path.write_text(json.dumps(said))
    return path


def objects_of(services: Services) -> list[Json]:
    """A service and its slice for each."""
    return [
        made
        for name, addresses in services.items()
        for made in (
            service(name),
            endpoint_slice(name, name, *(endpoint(a) for a in addresses)),
        )
    ]


class FakePlatform(Platform):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = FakeKubeApi()

    async def __aenter__(self) -> FakePlatform:
        await self.server.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.server.stop()

    def config(self) -> KubernetesConfig:
        file = kubeconfig(self._folder / "kubeconfig", self.server.url, self.server.token)
        return KubernetesConfig(kubeconfig=file, idle=IDLE)

    async def set(self, services: Services) -> None:
        wanted = objects_of(services)
        kinds = ("Service", "EndpointSlice")
        there = [o for kind in kinds for o in self.server.objects(kind)]
        names = {(o["kind"], o["metadata"]["name"]) for o in wanted}
        await self.server.drop(
            *(o for o in there if (o["kind"], o["metadata"]["name"]) not in names)
        )
        await self.server.put(*wanted)

    async def spoil(self, name: str) -> None:
        await self.server.put(endpoint_slice(name, name, endpoints="none at all"))

    async def disconnect(self) -> None:
        await self.server.stop()

    async def reconnect(self) -> None:
        await self.server.start()

    def hostname(self, name: str) -> str:
        return f"{name}.shop.svc.cluster.local"


class TwoClusters(FakePlatform):
    """The service `web` is in another cluster, all others are at home."""

    can_spoil = False
    can_lose_part = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.away = FakePlatform(folder / "away")

    async def __aenter__(self) -> TwoClusters:
        await super().__aenter__()
        await self.away.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await super().__aexit__()
        await self.away.__aexit__()

    def config(self) -> KubernetesConfig:
        folder = self._folder / "clusters"
        folder.mkdir(exist_ok=True)
        kubeconfig(folder / "away.yaml", self.away.server.url, self.away.server.token)
        return msgspec.structs.replace(super().config(), clusters=ClustersConfig(files=(folder,)))

    async def set(self, services: Services) -> None:
        await super().set({name: found for name, found in services.items() if name != "web"})
        await self.away.set({name: found for name, found in services.items() if name == "web"})

    async def lose_part(self) -> None:
        await self.away.disconnect()

    async def find_part(self) -> None:
        await self.away.reconnect()


class RealPlatform(Platform):
    """A real server; `__aenter__` finds it empty, for it is removed whatever tests made."""

    can_spoil = False

    def __init__(self, server: KubeApi) -> None:
        self.server = server

    async def __aenter__(self) -> RealPlatform:
        if not self.server.api.running:
            await self.server.api.start()
        await self.set({})
        return self

    def config(self) -> KubernetesConfig:
        return KubernetesConfig(kubeconfig=self.server.kubeconfig, idle=IDLE)

    async def set(self, services: Services) -> None:
        wanted = objects_of(services)
        for kind in ("Service", "EndpointSlice"):
            await self._remove(kind, {o["metadata"]["name"] for o in wanted if o["kind"] == kind})
        for sent in wanted:
            await apply(self.server, sent)

    async def _remove(self, kind: str, but: set[str]) -> None:
        there = await self.server.call("GET", collection(kind, "shop"))
        for item in there["items"]:
            name = item["metadata"]["name"]
            if name not in but:
                await self.server.call("DELETE", f"{collection(kind, 'shop')}/{name}")

    async def disconnect(self) -> None:
        await self.server.api.kill()

    async def reconnect(self) -> None:
        await self.server.api.start()

    def hostname(self, name: str) -> str:
        return f"{name}.shop.svc.cluster.local"


def collection(kind: str, namespace: str) -> str:
    group = SLICE_GROUP if kind == "EndpointSlice" else "/api/v1"
    scope = "" if kind in ("Node", "Namespace") else f"/namespaces/{namespace}"
    return f"{group}{scope}/{kind.lower()}s"


async def apply(server: KubeApi, sent: Json) -> Json:
    """Create it, or replace it. A pod's status goes where kubelets write it."""
    meta: dict[str, Any] = sent["metadata"]
    path = collection(sent["kind"], meta.get("namespace", ""))
    clean = {k: v for k, v in meta.items() if k not in ("uid", "creationTimestamp")}
    sent = {**sent, "metadata": clean}
    try:
        made: Json = await server.call("POST", path, sent)
    except server_process.Refused as refused:
        if refused.status != 409:
            raise
        made = await server.call("PATCH", f"{path}/{meta['name']}", sent)
    if "status" in sent:
        made = await server.call(
            "PATCH", f"{path}/{meta['name']}/status", {"status": sent["status"]}
        )
    return made


async def clear(server: KubeApi, namespace: str = "shop") -> None:
    """Nothing is left of what tests have put into the namespace."""
    for kind in ("Service", "EndpointSlice", "Pod"):
        path = collection(kind, namespace)
        for item in (await server.call("GET", path))["items"]:
            name = item["metadata"]["name"]
            await server.call("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})


async def started(server: KubeApi) -> KubeApi:
    """Running, with the namespace of the tests."""
    await server.__aenter__()
    await server.call("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    return server


def run_server() -> KubeApi:
    """For fixtures of a module, which have no event loop."""
    return asyncio.run(started(KubeApi()))


def stop_server(server: KubeApi) -> None:
    asyncio.run(server.__aexit__(None, None, None))
