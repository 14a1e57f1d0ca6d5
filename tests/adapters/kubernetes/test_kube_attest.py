"""Tokens of service accounts, reviewed by real API servers: whose they are, or nobody's."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kube_access import account, create
from kube_platforms import apply, clear, collection
from objects import Json, node, pod
from pilot_adapter_kubernetes import attest, wire
from pilot_adapter_kubernetes.adapter import ClustersConfig, Kubernetes, KubernetesConfig

from kube_server import KubeApi
from pilot_core.adapter import Attestor, Denied, Unavailable
from pilot_core.model import Evidence, Workload
from pilot_core.testing import host, session
from server_process import wait_for

OURS = "istio-ca"
READER = [
    {"apiGroups": [""], "resources": ["services", "pods", "nodes"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    },
]
REVIEWER = [
    *READER,
    {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["tokenreviews"],
        "verbs": ["create"],
    },
]


@pytest.fixture
async def server(servers: tuple[KubeApi, KubeApi]) -> KubeApi:
    await clear(servers[0])
    await prepare(servers[0])
    return servers[0]


async def prepare(server: KubeApi) -> None:
    await apply(server, node("node-1"))
    await apply(server, node("node-2"))
    for name in ("web", "agent"):
        await create(
            server, "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": name}}
        )


async def deploy(server: KubeApi, name: str, address: str, **more: str) -> str:
    """A pod that runs; its uid."""
    await apply(server, pod(name, address, **more))
    made = await server.call("GET", f"{collection('Pod', 'shop')}/{name}")
    return str(made["metadata"]["uid"])


async def token(server: KubeApi, account: str, audience: str = OURS, pod: str = "") -> str:
    spec: Json = {"audiences": [audience], "expirationSeconds": 600}
    if pod:
        uid = (await server.call("GET", f"{collection('Pod', 'shop')}/{pod}"))["metadata"]["uid"]
        spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod, "uid": uid}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/shop/serviceaccounts/{account}/token"
    return str((await server.call("POST", path, request))["status"]["token"])


@contextlib.asynccontextmanager
async def attestor(kubeconfig: Path, **settings: object) -> AsyncIterator[Kubernetes]:
    one = Kubernetes(KubernetesConfig(kubeconfig=kubeconfig, **settings), host())  # type: ignore[arg-type]
    async with session(one) as sink:
        await sink.until(lambda: sink.is_synced)
        yield one


async def by_token(one: Attestor, token: str) -> Workload:
    return await one.attest(Evidence(kind="token", payload=token.encode()))


async def test_a_token_proves_its_account_its_pod_and_its_node(server):
    uid = await deploy(server, "web-1", "10.1.0.1")
    async with attestor(server.kubeconfig) as one:
        assert isinstance(one, Attestor)
        found = await by_token(one, await token(server, "web", pod="web-1"))

    assert "/ns/shop/sa/web" == found.path
    assert ("shop", "web", ("10.1.0.1",)) == (
        found.namespace,
        found.service_account,
        found.addresses,
    )
    assert {"pod": "web-1", "pod-uid": uid, "node": "node-1"} == dict(found.selectors)


async def test_a_token_that_is_bound_to_no_pod_proves_its_account(server):
    async with attestor(server.kubeconfig) as one:
        found = await by_token(one, await token(server, "web"))
    assert ("/ns/shop/sa/web", (), ()) == (found.path, found.addresses, found.selectors)


async def test_a_token_of_another_audience_is_denied(server):
    async with attestor(server.kubeconfig) as one:
        with pytest.raises(Denied, match="token audiences"):
            await by_token(one, await token(server, "web", "somebody-else"))


async def test_a_token_for_the_api_server_is_denied(server):
    async with attestor(server.kubeconfig) as one:
        with pytest.raises(Denied, match="token audiences"):
            await by_token(one, await token(server, "web", "https://kubernetes.default.svc"))


async def test_a_token_of_a_user_is_denied(server):
    async with attestor(server.kubeconfig) as one:
        with pytest.raises(Denied):
            await by_token(one, server.token)


async def test_a_token_dies_with_its_pod(server):
    await deploy(server, "web-1", "10.1.0.1")
    proof = await token(server, "web", pod="web-1")
    async with attestor(server.kubeconfig) as one:
        await by_token(one, proof)
        path = f"{collection('Pod', 'shop')}/web-1"
        await server.call("DELETE", path, {"gracePeriodSeconds": 0})
        await denied_soon(one, Evidence(kind="token", payload=proof.encode()))


async def test_a_token_of_a_pod_counts_for_no_other_pod_of_its_name(server):
    await deploy(server, "web-1", "10.1.0.1")
    proof = await token(server, "web", pod="web-1")
    path = f"{collection('Pod', 'shop')}/web-1"
    await server.call("DELETE", path, {"gracePeriodSeconds": 0})
    await deploy(server, "web-1", "10.1.0.1")
    async with attestor(server.kubeconfig) as one:
        with pytest.raises(Denied):
            await by_token(one, proof)


@pytest.mark.parametrize("change", ["expired", "signature", "algorithm"])
async def test_a_token_that_somebody_has_changed_is_denied(server, change):
    header, claims, signature = (await token(server, "web")).split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    if change == "expired":
        said["exp"] = said["iat"] - 1
        claims = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    elif change == "signature":
        signature = signature[::-1]
    else:
        header, signature = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("="), ""
    async with attestor(server.kubeconfig) as one:
        with pytest.raises(Denied, match="proves nothing"):
            await by_token(one, ".".join((header, claims, signature)))


async def test_a_token_of_another_cluster_counts_only_where_that_is_in_the_mesh(
    server, servers, tmp_path
):
    away = servers[1]
    await prepare(away)
    proof = await token(away, "web")
    async with attestor(server.kubeconfig) as one:
        with pytest.raises(Denied, match="proves nothing"):
            await by_token(one, proof)

    file = await account(away, tmp_path, "reviewer", REVIEWER)
    async with attestor(server.kubeconfig, clusters=ClustersConfig(files=(file,))) as one:
        assert "/ns/shop/sa/web" == (await by_token(one, proof)).path
        assert "/ns/shop/sa/web" == (await by_token(one, await token(server, "web"))).path
        with pytest.raises(Denied):
            await by_token(one, await token(server, "web", "somebody-else"))


async def test_the_rights_that_are_documented_are_enough_and_without_them_nothing_is_proved(
    server, tmp_path
):
    proof = await token(server, "web")
    async with attestor(await account(server, tmp_path, "reviewer", REVIEWER)) as one:
        assert "/ns/shop/sa/web" == (await by_token(one, proof)).path
    async with attestor(await account(server, tmp_path, "reader", READER)) as one:
        with pytest.raises(Unavailable, match="cannot create tokenreviews: 403"):
            await by_token(one, proof)


async def test_nothing_is_proved_without_a_session(server):
    one = Kubernetes(KubernetesConfig(kubeconfig=server.kubeconfig), host())
    with pytest.raises(Unavailable, match="no API server"):
        await by_token(one, "a.b.c")


def on_behalf(token: str, account: str, namespace: str = "shop") -> Evidence:
    said = {"token": token, "namespace": namespace, "service_account": account}
    return Evidence(kind="on-behalf", payload=json.dumps(said).encode())


async def test_an_agent_speaks_for_the_pods_of_its_own_node_and_no_others(server):
    await deploy(server, "agent-1", "10.0.0.1", account="agent")
    await deploy(server, "web-1", "10.1.0.1")
    await deploy(server, "far-1", "10.1.0.2", account="agent", node="node-2")
    proof = await token(server, "agent", pod="agent-1")
    far = await token(server, "agent", pod="far-1")
    async with attestor(server.kubeconfig, node_agents=("shop/agent",)) as one:
        found = await one.attest(on_behalf(proof, "web"))
        assert ("/ns/shop/sa/web", {"node": "node-1"}) == (found.path, dict(found.selectors))
        for evidence in (on_behalf(far, "web"), on_behalf(proof, "web", "bank")):
            with pytest.raises(Denied, match=r"no pod of .*/web runs on the node"):
                await one.attest(evidence)

        path = f"{collection('Pod', 'shop')}/web-1"
        await server.call("PATCH", f"{path}/status", {"status": {"phase": "Succeeded"}})
        await denied_soon(one, on_behalf(proof, "web"))


async def denied_soon(one: Kubernetes, evidence: Evidence) -> None:
    """The watch has to tell of the pod's end first."""

    async def denied() -> bool:
        try:
            await one.attest(evidence)
        except Denied:
            return True
        return False

    await wait_for(denied, "the proof to be worth nothing")


async def test_who_is_no_agent_speaks_for_nobody(server):
    await deploy(server, "web-1", "10.1.0.1")
    proof = await token(server, "web", pod="web-1")
    unbound = await token(server, "agent")
    async with attestor(server.kubeconfig, node_agents=("shop/agent",)) as one:
        with pytest.raises(Denied, match="shop/web may not speak for others"):
            await one.attest(on_behalf(proof, "web"))
        with pytest.raises(Denied, match="an agent without one"):
            await one.attest(on_behalf(unbound, "web"))
        with pytest.raises(Denied, match="not what an agent says"):
            await one.attest(Evidence(kind="on-behalf", payload=b"{}"))
        with pytest.raises(Denied, match="proves nothing here"):
            await one.attest(Evidence(kind="aws-iid", payload=b""))


GOOD = wire.TokenReviewStatus(
    authenticated=True,
    audiences=(OURS,),
    user=wire.UserInfo("system:serviceaccount:shop:web", ("system:serviceaccounts",)),
)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("authenticated", False, "proves nothing"),
        ("error", "it is odd", "it is odd"),
        ("audiences", None, "not meant for"),
        ("audiences", (), "not meant for"),
        ("audiences", ("istio",), "not meant for"),
        ("user", wire.UserInfo("admin", ("system:serviceaccounts",)), "no service account's"),
        ("user", wire.UserInfo("system:serviceaccount:shop:web"), "no service account's"),
        (
            "user",
            wire.UserInfo("system:serviceaccount:a:b:c", ("system:serviceaccounts",)),
            "no service account's",
        ),
    ],
)
def test_what_a_server_may_say_that_is_no_yes(field, value, why):
    said = wire.TokenReviewStatus(
        **{**{f: getattr(GOOD, f) for f in GOOD.__struct_fields__}, field: value}
    )
    assert "shop/web" == attest.account(GOOD, OURS).key
    with pytest.raises(Denied, match=why):
        attest.account(said, OURS)
