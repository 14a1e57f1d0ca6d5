"""A real API server asks about every new pod, and the pod has a proxy."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kube_platforms import run_server, stop_server
from pilot_adapter_kubernetes import admission, inject
from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig
from pilot_adapter_kubernetes.settings import InjectConfig, WebhookConfig

import self_signed
import server_process
from kube_server import KubeApi
from mesh import free_port
from pilot_core.adapter import ConfigError, Sidecar
from pilot_core.testing import host, session
from server_process import wait_for

HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
SIDECAR = Sidecar(xds="pilot-core.pilot-core.svc:15010", image="mesh/proxy:1")
REVISION = "pilot-core.io/revision"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[KubeApi]:
    made = run_server()
    yield made
    stop_server(made)


def hook(port: int, certificate: Path, reinvocation: str = "Never") -> Json:
    """Asks about the pods of namespaces that chose this revision."""
    pem = certificate.read_text().partition("-----BEGIN PRIVATE")[0]
    client = {
        "url": f"https://127.0.0.1:{port}/inject",
        "caBundle": base64.b64encode(pem.encode()).decode(),
    }
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    one = {
        "rules": [{**rule, "resources": ["pods"]}],
        "clientConfig": client,
        "namespaceSelector": {"matchLabels": {REVISION: "blue"}},
        "reinvocationPolicy": reinvocation,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    # Two of them: what one injected, the other leaves as it is.
    names = ("inject.pilot-core.io", "again.pilot-core.io")
    return {"metadata": {"name": "pilot-core"}, "webhooks": [{**one, "name": n} for n in names]}


def pod(name: str = "web", **said: Any) -> Json:
    meta = {"name": name, "labels": {"app": "web"}, **said.pop("meta", {})}
    return {"metadata": meta, "spec": {"containers": [{"name": "web", "image": "web:1"}], **said}}


async def namespace(server: KubeApi, name: str, **labels: str) -> None:
    body = {"metadata": {"name": name, "labels": labels}}
    with contextlib.suppress(server_process.Refused):  # it is there
        await server.call("POST", "/api/v1/namespaces", body)
    # What the service account controller would make, were it running.
    with contextlib.suppress(server_process.Refused):
        path = f"/api/v1/namespaces/{name}/serviceaccounts"
        await server.call("POST", path, {"metadata": {"name": "default"}})


async def made(server: KubeApi, sent: Json, where: str = "blue") -> Json:
    path = f"/api/v1/namespaces/{where}/pods?dryRun=All"
    found: Json = await server.call("POST", path, sent)
    return found


def names(found: Json) -> list[str]:
    return [each["name"] for each in found["spec"].get("initContainers", ())]


@contextlib.asynccontextmanager
async def asked(server: KubeApi, folder: Path) -> AsyncIterator[None]:
    """The adapter runs, and the server asks it about the pods of the namespace `blue`."""
    await namespace(server, "blue", **{REVISION: "blue"})
    await namespace(server, "green", **{REVISION: "green"})
    certificate, port = self_signed.write(folder / "tls.pem"), free_port()
    webhook = WebhookConfig(
        address=f"127.0.0.1:{port}",
        cert_file=certificate,
        key_file=certificate,
        inject=InjectConfig(image=SIDECAR.image, xds=SIDECAR.xds),
    )
    config = KubernetesConfig(kubeconfig=server.kubeconfig, webhook=webhook)
    async with session(Kubernetes(config, host())) as sink:
        await sink.until(lambda: sink.is_synced)
        with contextlib.suppress(server_process.Refused):  # there is none
            await server.call("DELETE", f"{HOOKS}/pilot-core")
        await server.call("POST", HOOKS, hook(port, certificate))

        async def injects() -> bool:
            """Servers take a moment to know of a new webhook."""
            with contextlib.suppress(server_process.Refused):
                return bool(names(await made(server, pod())))
            return False

        await wait_for(injects, "the webhook to be asked")
        yield


async def test_a_pod_gets_its_proxy_once_and_only_where_the_revision_is_chosen(server, tmp_path):
    async with asked(server, tmp_path):
        found = await made(server, pod())
        assert ["pilot-iptables", "pilot-proxy"] == names(found)
        assert [] == names(await made(server, pod(), "green"))
        left_out = pod(meta={"labels": {inject.CHOICE: "false"}})
        assert [] == names(await made(server, left_out))
        assert [] == names(await made(server, pod(hostNetwork=True)))
        own = [{"name": "migrate", "image": "m"}]
        assert ["migrate", "pilot-iptables", "pilot-proxy"] == names(
            await made(server, pod(initContainers=own))
        )


async def test_what_cannot_have_a_proxy_is_refused_and_said_why(server, tmp_path):
    async with asked(server, tmp_path):
        with pytest.raises(server_process.Refused, match="runs as user 1337"):
            await made(server, pod(securityContext={"runAsUser": 1337}))


async def test_where_nobody_answers_no_pod_comes_without_its_proxy(server, tmp_path):
    async with asked(server, tmp_path):
        assert names(await made(server, pod()))
    with pytest.raises(server_process.Refused, match="failed calling webhook"):
        await made(server, pod())
    assert [] == names(await made(server, pod(), "green"))


def review(**of: Any) -> Json:
    sent = {"apiVersion": "v1", "kind": "Pod", **pod(), **of}
    body = json.dumps({"request": {"uid": "1", "operation": "CREATE", "object": sent}}).encode()
    response: Json = json.loads(admission.injecting(body, SIDECAR))["response"]
    return response


def test_a_pod_of_a_deployment_is_one_of_its_workload():
    owner = {"kind": "ReplicaSet", "name": "web-6d4f", "controller": True}
    labels = {"pod-template-hash": "6d4f"}
    meta = {"generateName": "web-6d4f-", "ownerReferences": [owner], "labels": labels}
    patch = json.loads(base64.b64decode(review(metadata=meta)["patch"]))

    command = patch[0]["value"][1]["command"]
    assert ["/spec/initContainers"] == [each["path"] for each in patch]
    assert "web" == command[command.index("--workload") + 1]


def test_a_pod_that_has_no_name_yet_is_called_by_what_it_will_begin_with():
    patch = json.loads(base64.b64decode(review(metadata={"generateName": "job-"})["patch"]))

    command = patch[0]["value"][1]["command"]
    assert "job" == command[command.index("--workload") + 1]


@pytest.mark.parametrize("of", [{"kind": "Service"}, {"metadata": {"labels": {}}, "kind": "Job"}])
def test_what_is_no_pod_passes(of):
    assert {"uid": "1", "allowed": True} == review(**of)


def test_what_is_no_review_is_said_to_be_none_here_too():
    with pytest.raises(admission.NoReview, match="no AdmissionReview"):
        admission.injecting(b"{}", SIDECAR)


def test_an_image_without_a_server_is_a_wrong_setting():
    with pytest.raises(ConfigError, match=r"webhook\.inject\.xds"):
        KubernetesConfig(webhook=WebhookConfig(inject=InjectConfig(image="i")))
