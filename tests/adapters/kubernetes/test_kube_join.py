"""A pod joins the mesh by its service account's token, which a real API server reviews."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import pytest
from kube_access import create
from kube_platforms import apply, clear, collection, started, stop_server
from objects import Json, node, pod

from inside import Inside, inside
from joining import DOMAIN, Site, secure_mesh
from kube_server import KubeApi
from mesh import until
from pilot_certs.agent.proofs import PlatformToken
from pilot_certs.spiffe import SpiffeId
from pilot_core.errors import Denied
from secure_client import NAME, Client

WEB = SpiffeId(DOMAIN, "/ns/shop/sa/web")


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApi]:
    server = asyncio.run(started(KubeApi()))
    yield server
    stop_server(server)


async def token(server: KubeApi, *, audience: str = "istio-ca", bound: str = "") -> str:
    spec: Json = {"audiences": [audience], "expirationSeconds": 600}
    if bound:
        uid = (await server.call("GET", f"{collection('Pod', 'shop')}/{bound}"))["metadata"]["uid"]
        spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": bound, "uid": uid}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = "/api/v1/namespaces/shop/serviceaccounts/web/token"
    return str((await server.call("POST", path, request))["status"]["token"])


async def test_a_pod_s_token_is_worth_its_service_account_while_the_pod_runs(
    api: KubeApi, tmp_path: Path
) -> None:
    await clear(api)
    await apply(api, node("node-1"))
    await create(api, "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "web"}})
    await apply(api, pod("web-1", "10.1.0.1"))
    more = (
        f"identity:\n  dns_names: [{NAME}]\n"
        "  attestors: [{name: cluster, adapter: k8s, prefix: /ns}]\n"
    )
    config = secure_mesh(tmp_path, more=more)
    adapter = f"- {{name: k8s, kind: kubernetes, config: {{kubeconfig: {api.kubeconfig}}}}}\n"
    config.write_text(config.read_text().replace("adapters:\n", f"adapters:\n{adapter}"))
    async with inside(config) as daemon:
        site = Site(daemon, tmp_path)
        file = tmp_path / "t"

        file.write_text(await token(api, bound="web-1"))
        async with site.agent(proof=PlatformToken("cluster", file)) as agent:
            assert [WEB] == list(agent.held.svids)
        assert (await Client(daemon).create(file.read_text())).chain

        good = file.read_text()
        await api.call("DELETE", f"{collection('Pod', 'shop')}/web-1?gracePeriodSeconds=0")
        await until(_refused(daemon, good), "the token of a deleted pod to be refused")

        for bad in (await token(api, audience="somebody-else"), good[:-4] + "AAAA"):
            file.write_text(bad)
            with pytest.raises(Denied, match="request authenticate failure"):
                async with site.agent(proof=PlatformToken("cluster", file)):
                    pass


def _refused(daemon: Inside, good: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        try:
            await Client(daemon).create(good)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNAUTHENTICATED
        return False

    return look
