"""The manifests and the chart: a real API server takes them, and their rights are just enough."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube_access import written
from kube_platforms import run_server, stop_server
from pilot_adapter_kubernetes import credentials
from pilot_adapter_kubernetes.adapter import ClustersConfig, Kubernetes, KubernetesConfig
from pilot_adapter_kubernetes.api import Api
from pilot_adapter_kubernetes.lock import LeaseLock, LockSettings

import in_pod
import self_signed
import server_process
from components import absent
from kube_server import KubeApi
from pilot_core.adapter import Denied, Term, Unavailable
from pilot_core.config import load
from pilot_core.model import Evidence
from pilot_core.registry import loader
from pilot_core.testing import RecordingSink, host, session

DEPLOY = Path(__file__).parents[2] / "deploy" / "kubernetes"
PLAIN = DEPLOY / "pilot-core.yaml"
NAMESPACE = "pilot-core"
ALL_ON = (
    "namespaceSelector=mesh=on,remoteClusters=true,nodeAgents={mesh/agent},"
    "authoritySecret=authority,replicas=3,adapters[0].name=files,adapters[0].kind=file,"
    "adapters[0].config.paths={/etc/files},customResources={serviceentries.networking.istio.io},"
    "writeStatus=true,webhook.secret=hook,webhook.inject.image=mesh/proxy:1"
)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[KubeApi]:
    made = run_server()
    yield made
    stop_server(made)


def plain() -> list[Json]:
    return [made for made in yaml.safe_load_all(PLAIN.read_text()) if made]


def everything_on() -> list[Json]:
    """What the chart makes with all its options."""
    pem = self_signed_pem()
    bundle = f"webhook.caBundle={base64.b64encode(pem).decode()}"
    return [made for made in yaml.safe_load_all(rendered(ALL_ON, bundle)) if made]


def self_signed_pem() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return self_signed.write(Path(folder) / "a.pem").read_bytes().partition(b"-----BEGIN P")[0]


def rendered(*values: str) -> str:
    """What Helm makes of the chart."""
    helm = str(server_process.binary("helm"))
    command = [helm, "template", "pilot-core", str(DEPLOY / "chart"), "--namespace", NAMESPACE]
    command += ["--kube-version", "1.36.0"]  # there is no cluster that it could ask
    options = [word for value in values for word in ("--set", value)]
    return subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout


def path_of(made: Json) -> str:
    """Of the collection that it belongs to."""
    version, kind = made["apiVersion"], made["kind"]
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    namespace = made["metadata"].get("namespace")
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{kind.lower()}s"


async def prepare(server: KubeApi) -> None:
    """The namespace, as strict as namespaces get."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"metadata": {"name": NAMESPACE, "labels": labels}}
    with contextlib.suppress(server_process.Refused):  # it is there
        await server.call("POST", "/api/v1/namespaces", body)


async def taken(server: KubeApi, objects: list[Json]) -> None:
    """The server would take each of them as it is written, and nothing in it is unknown."""
    await prepare(server)
    for made in objects:
        await server.call("POST", f"{path_of(made)}?dryRun=All&fieldValidation=Strict", made)


def one(objects: list[Json], kind: str) -> Json:
    [found] = [made for made in objects if made["kind"] == kind]
    return found


def pod_of(objects: list[Json]) -> Json:
    template = one(objects, "Deployment")["spec"]["template"]
    meta = {**template["metadata"], "name": "probe", "namespace": NAMESPACE}
    # No controller has made the account here; what is tested is what the pod asks for.
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


async def test_a_server_takes_the_manifests_as_they_are(server):
    await taken(server, plain())


async def test_the_pods_keep_to_the_restricted_standard(server):
    await taken(server, [pod_of(plain())])


def test_two_replicas_one_of_which_may_be_disrupted():
    objects = plain()
    deployment = one(objects, "Deployment")["spec"]
    assert 2 == deployment["replicas"]
    budget = one(objects, "PodDisruptionBudget")["spec"]
    assert 1 == budget["maxUnavailable"]
    labels = deployment["template"]["metadata"]["labels"]
    for selector in (
        budget["selector"]["matchLabels"],
        one(objects, "Service")["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()


def settings(objects: list[Json], folder: Path) -> load.Settings:
    file = folder / "pilot.yaml"
    file.write_text(one(objects, "ConfigMap")["data"]["pilot.yaml"])
    return load.load(file, adapter_types=loader.load)


def test_the_configuration_is_sound(tmp_path):
    found = settings(plain(), tmp_path)
    [adapter] = found.adapters
    assert ("kubernetes", "cluster.local") == (adapter.kind, adapter.config.domain)
    ports = {p["containerPort"] for p in pod_of(plain())["spec"]["containers"][0]["ports"]}
    addresses = (found.xds.address, found.admin.address)
    assert ports == {int(address.rpartition(":")[2]) for address in addresses}


def test_the_manifests_are_what_the_chart_says():
    assert PLAIN.read_text() == rendered()


async def test_a_server_takes_the_chart_with_everything_on(server, tmp_path):
    objects = everything_on()
    await taken(server, [*objects, pod_of(objects)])
    found = settings(objects, tmp_path)
    assert ["kubernetes", "files"] == [adapter.name for adapter in found.adapters]
    assert "0.0.0.0:15012" == found.xds.secure_address
    assert [("kubernetes", "/ns")] == [(a.adapter, a.prefix) for a in found.identity.attestors]
    said = found.adapters[0].config
    assert (NAMESPACE, NAMESPACE) == (said.clusters.secrets, said.status.lease_namespace)
    assert ("serviceentries.networking.istio.io",) == said.custom_resources
    assert "0.0.0.0:15017" == said.webhook.address
    assert ("mesh/proxy:1", "pilot-core.pilot-core.svc:15010") == (
        said.webhook.inject.image,
        said.webhook.inject.xds,
    )


# Rights


@contextlib.asynccontextmanager
async def granted(
    server: KubeApi, folder: Path, *, but: str = "", objects: list[Json] | None = None
) -> AsyncIterator[Path]:
    """A kubeconfig with the rights of the manifests, all but those to one resource."""
    await prepare(server)
    rights = [o for o in objects or plain() if o["kind"] != "Deployment" and _is_right(o)]
    for made in rights:
        for rule in made.get("rules", ()):
            rule["resources"] = [name for name in rule["resources"] if name != but] or ["nothing"]
        await server.call("POST", path_of(made), made)
    try:
        token = await server.service_account_token(NAMESPACE, "pilot-core")
        yield written(server, folder / "kubeconfig", token)
    finally:
        for made in rights:
            await server.call("DELETE", f"{path_of(made)}/{made['metadata']['name']}")


def _is_right(made: Json) -> bool:
    return made["kind"] == "ServiceAccount" or made["apiVersion"].startswith("rbac.")


async def synced(kubeconfig: Path, **settings: Any) -> RecordingSink:
    """What the adapter has read with these rights."""
    async with running(kubeconfig, **settings) as (_, sink):
        return sink


@contextlib.asynccontextmanager
async def running(
    kubeconfig: Path, **settings: Any
) -> AsyncIterator[tuple[Kubernetes, RecordingSink]]:
    adapter = Kubernetes(KubernetesConfig(kubeconfig=kubeconfig, **settings), host())
    async with session(adapter) as sink:
        await sink.until(lambda: sink.is_synced)
        yield adapter, sink


async def lead(kubeconfig: Path) -> int:
    """The fence of a term that was ours."""

    async def work(term: Term) -> int:
        return term.fence

    api = Api(lambda: credentials.load(kubeconfig, ""), host().clock)
    async with api:
        lock = LeaseLock(api, LockSettings(namespace=NAMESPACE, holder="me"), host())
        return await lock.run(work)


async def test_the_rights_are_enough_for_all_that_is_done(server, tmp_path):
    async with granted(server, tmp_path) as kubeconfig:
        async with running(kubeconfig) as (adapter, sink):
            assert "kubernetes.default.svc.cluster.local" in sink.services
            assert ([], [], []) == (sink.problems, sink.notes, sink.lost)
            proof = await server.service_account_token(NAMESPACE, "pilot-core", "istio-ca")
            who = await adapter.attest(Evidence(kind="token", payload=proof.encode()))
            assert "/ns/pilot-core/sa/pilot-core" == who.path
        assert 0 < await lead(kubeconfig)


async def test_the_rights_of_the_chart_are_enough_for_its_options(server, tmp_path):
    objects = everything_on()
    more: dict[str, Any] = {
        "clusters": ClustersConfig(secrets=NAMESPACE),
        "namespace_selector": "mesh=on",
        "custom_resources": ("serviceentries.networking.istio.io",),
    }
    async with granted(server, tmp_path, objects=objects) as kubeconfig:
        sink = await synced(kubeconfig, **more)
        assert ([], []) == (sink.problems, sink.lost)
    async with granted(server, tmp_path) as kubeconfig:
        with pytest.raises(BaseExceptionGroup) as raised:
            await synced(kubeconfig, **more)
        assert raised.group_contains(Denied, match="cannot list namespaces")


@pytest.mark.parametrize("but", ["services", "pods", "endpointslices"])
async def test_none_of_the_rights_to_read_is_too_many(server, tmp_path, but):
    async with granted(server, tmp_path, but=but) as kubeconfig:
        with pytest.raises(BaseExceptionGroup) as raised:
            await synced(kubeconfig)
        assert raised.group_contains(Denied, match=f"cannot list {but}")


async def test_none_of_the_other_rights_is_too_many(server, tmp_path):
    async with granted(server, tmp_path, but="nodes") as kubeconfig:
        sink = await synced(kubeconfig)
        assert "cannot list nodes" in sink.problems[0][1]
    async with granted(server, tmp_path, but="leases") as kubeconfig:
        with pytest.raises(Denied, match="cannot keep the lease"):
            await lead(kubeconfig)
    proof = Evidence(kind="token", payload=b"a.b.c")
    async with (
        granted(server, tmp_path, but="tokenreviews") as kubeconfig,
        running(kubeconfig) as (adapter, _),
    ):
        with pytest.raises(Unavailable, match="cannot create tokenreviews"):
            await adapter.attest(proof)


async def test_a_pod_of_the_manifests_reads_the_cluster_that_it_runs_in(server, tmp_path):
    if os.geteuid() != 0:
        absent("root", "mount namespaces are made by root")
    async with granted(server, tmp_path) as kubeconfig:
        [user] = json.loads(kubeconfig.read_text())["users"]
        token = tmp_path / "token"
        token.write_text(user["user"]["token"])
        command = [sys.executable, in_pod.__file__, str(token), str(server.ca)]
        process = await asyncio.create_subprocess_exec(
            *command,
            *("127.0.0.1", str(server.port)),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        out, _ = await process.communicate()
    assert 0 == process.returncode
    assert ["kubernetes.default.svc.cluster.local"] == json.loads(out)
