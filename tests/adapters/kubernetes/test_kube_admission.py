"""A real API server asks before it takes objects, and reads of each what was found of it."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kube_access import account
from kube_definitions import NAME, entry, install, objects_of, uninstall
from kube_platforms import run_server, stop_server
from pilot_adapter_kubernetes import admission
from pilot_adapter_kubernetes.adapter import Kubernetes, KubernetesConfig
from pilot_adapter_kubernetes.settings import StatusConfig, WebhookConfig
from pilot_adapter_kubernetes.status import CONDITION

import self_signed
import server_process
from kube_server import KubeApi
from mesh import free_port
from pilot_core.adapter import ConfigError
from pilot_core.dialects import catalogue
from pilot_core.testing import RecordingSink, host, session
from server_process import wait_for

HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
WRONG = {"resolution": "STATICK", "ports": [{"number": 0, "name": "http"}]}
LEASE = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/pilot-core"


@pytest.fixture(scope="module")
def running() -> Iterator[KubeApi]:
    server = run_server()
    yield server
    stop_server(server)


@pytest.fixture
async def server(running: KubeApi) -> KubeApi:
    for path in (f"{HOOKS}/pilot-core", LEASE):
        with contextlib.suppress(server_process.Refused):  # there is none
            await running.call("DELETE", path)
    await uninstall(running)
    await install(running)
    return running


def hook(server_port: int, certificate: Path) -> dict[str, Any]:
    pem = certificate.read_text().partition("-----BEGIN PRIVATE")[0]
    rule = {
        "apiGroups": ["networking.istio.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["serviceentries"],
    }
    client = {
        "url": f"https://127.0.0.1:{server_port}/validate",
        "caBundle": base64.b64encode(pem.encode()).decode(),
    }
    return {
        "metadata": {"name": "pilot-core"},
        "webhooks": [
            {
                "name": "validate.pilot-core.io",
                "rules": [rule],
                "clientConfig": client,
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 5,
            }
        ],
    }


@contextlib.asynccontextmanager
async def asked(server: KubeApi, certificate: Path) -> AsyncIterator[RecordingSink]:
    """The adapter runs, and the server asks it about every object."""
    port = free_port()
    webhook = WebhookConfig(
        address=f"127.0.0.1:{port}", cert_file=certificate, key_file=certificate
    )
    config = KubernetesConfig(
        kubeconfig=server.kubeconfig, webhook=webhook, custom_resources=(NAME,)
    )
    async with session(Kubernetes(config, host())) as sink:
        await sink.until(lambda: sink.is_synced)
        await server.call("POST", HOOKS, hook(port, certificate))

        async def refuses() -> bool:
            """Servers take a moment to know of a new webhook."""
            said = await refusal(server, entry("probe", "10.3.0.1", **WRONG))
            return "STATICK" in said

        await wait_for(refuses, "the webhook to be asked")
        yield sink


async def refusal(server: KubeApi, sent: dict[str, Any]) -> str:
    """What the server says to it; empty where it would take it."""
    try:
        await server.call("POST", f"{objects_of('v1')}?dryRun=All", sent)
    except server_process.Refused as refused:
        return str(json.loads(refused.text)["message"])
    return ""


async def test_what_check_would_find_is_refused_in_the_same_words(server, tmp_path):
    certificate = self_signed.write(tmp_path / "tls.pem")
    wrong = entry("payments", "10.3.0.1", **WRONG)
    found = [f.message for f in catalogue.read(json.dumps(wrong), "a.json").refused]
    assert 2 == len(found)
    async with asked(server, certificate):
        said = await refusal(server, wrong)
        assert all(message in said for message in found)
        assert "" == await refusal(server, entry("payments", "10.3.0.1"))

        await server.call("POST", objects_of("v1"), entry("payments", "10.3.0.1"))
        with pytest.raises(server_process.Refused, match="STATICK"):
            await server.call("PATCH", f"{objects_of('v1')}/payments", {"spec": WRONG})
        await server.call("DELETE", f"{objects_of('v1')}/payments")


async def test_a_certificate_that_is_renewed_is_used_without_a_restart(server, tmp_path):
    certificate = self_signed.write(tmp_path / "tls.pem")
    async with asked(server, certificate) as sink:
        self_signed.write(certificate)
        hooks = (await server.call("GET", f"{HOOKS}/pilot-core"))["webhooks"]
        port = int(hooks[0]["clientConfig"]["url"].split(":")[2].split("/")[0])
        await server.call("PATCH", f"{HOOKS}/pilot-core", hook(port, certificate))

        async def takes() -> bool:
            return await refusal(server, entry("payments", "10.3.0.1")) == ""

        await wait_for(takes, "the new certificate to be used")
        assert "STATICK" in await refusal(server, entry("payments", "10.3.0.1", **WRONG))
        assert [] == sink.problems


async def test_where_nobody_answers_the_policy_decides(server, tmp_path):
    certificate = self_signed.write(tmp_path / "tls.pem")
    async with asked(server, certificate):
        assert "" == await refusal(server, entry("payments", "10.3.0.1"))
    assert "failed calling webhook" in await refusal(server, entry("payments", "10.3.0.1"))


async def test_a_webhook_that_cannot_be_served_is_a_problem_and_nothing_more(server, tmp_path):
    missing = WebhookConfig(
        address="127.0.0.1:0", cert_file=tmp_path / "none", key_file=tmp_path / "none"
    )
    config = KubernetesConfig(kubeconfig=server.kubeconfig, webhook=missing)
    async with session(Kubernetes(config, host())) as sink:
        await sink.until(lambda: sink.is_synced)
        await sink.until(lambda: sink.problems)
        assert "webhook: the certificate cannot be used" in sink.problems[0][1]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"request": 1}', b"\xff"])
def test_what_is_no_review_is_said_to_be_none(body):
    with pytest.raises(admission.NoReview, match="no AdmissionReview"):
        admission.validate(body)


def test_what_goes_away_is_not_judged():
    body = {"request": {"uid": "1", "operation": "DELETE", "object": None}}
    said = json.loads(admission.validate(json.dumps(body).encode()))
    assert {"uid": "1", "allowed": True} == said["response"]


def test_an_address_that_is_none_is_a_wrong_setting():
    with pytest.raises(ConfigError, match=r"webhook.address: ':15017'"):
        KubernetesConfig(webhook=WebhookConfig(address=":15017"))


# Status

RIGHTS = [
    {"apiGroups": [""], "resources": ["services", "pods", "nodes"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    },
    {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": ["list", "watch"],
    },
    {
        "apiGroups": ["networking.istio.io"],
        "resources": ["serviceentries"],
        "verbs": ["get", "list", "watch"],
    },
]
WRITES = [
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "update"],
    },
    {
        "apiGroups": ["networking.istio.io"],
        "resources": ["serviceentries/status"],
        "verbs": ["patch"],
    },
]


def writer(kubeconfig: Path, name: str = "", lease: str = "shop") -> Kubernetes:
    status = StatusConfig(lease_namespace=lease, holder=name or "pilot-core")
    config = KubernetesConfig(kubeconfig=kubeconfig, custom_resources=(NAME,), status=status)
    return Kubernetes(config, host())


async def condition(server: KubeApi, name: str) -> dict[str, Any]:
    found = await server.call("GET", f"{objects_of('v1')}/{name}")
    said = [c for c in found.get("status", {}).get("conditions", ()) if c["type"] == CONDITION]
    return said[0] if said else {}


async def until_condition(server: KubeApi, name: str, status: str) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        found = await condition(server, name)
        return found if found.get("status") == status else {}

    found: dict[str, Any] = await wait_for(look, f"{name}: {status}")
    return found


async def test_a_leader_writes_what_it_found_and_leaves_what_others_wrote(server):
    path = f"{objects_of('v1')}/payments"
    await server.call("POST", objects_of("v1"), entry("payments", "10.3.0.1"))
    theirs = {"type": "Reconciled", "status": "True"}
    await server.call("PATCH", f"{path}/status", {"status": {"conditions": [theirs]}})
    async with session(writer(server.kubeconfig)) as sink:
        await sink.until(lambda: sink.is_synced)
        await until_condition(server, "payments", "True")
        await server.call("PATCH", path, {"spec": WRONG})
        found = await until_condition(server, "payments", "False")
        assert "STATICK" in found["message"]
        assert theirs in (await server.call("GET", path))["status"]["conditions"]

        await server.call("PATCH", path, {"spec": entry("payments", "10.3.0.1")["spec"]})
        await until_condition(server, "payments", "True")


async def test_of_two_replicas_one_writes_and_the_other_follows(server):
    await server.call("POST", objects_of("v1"), entry("payments", "10.3.0.1"))
    async with session(writer(server.kubeconfig, "second")) as standby:
        async with session(writer(server.kubeconfig, "third")):
            await standby.until(lambda: standby.is_synced)
            await until_condition(server, "payments", "True")
            lease = await server.call("GET", LEASE)
            assert lease["spec"]["holderIdentity"].partition("_")[0] in ("second", "third")
        await server.call("PATCH", f"{objects_of('v1')}/payments", {"spec": WRONG})
        await until_condition(server, "payments", "False")


async def test_nothing_is_written_unless_it_is_asked_for(server):
    await server.call("POST", objects_of("v1"), entry("payments", "10.3.0.1", **WRONG))
    async with session(writer(server.kubeconfig, lease="")) as sink:
        await sink.until(lambda: sink.is_synced)
        await sink.until(lambda: sink.problems)
    assert {} == await condition(server, "payments")
    with pytest.raises(server_process.Refused, match="404"):
        await server.call("GET", LEASE)


async def test_the_documented_rights_are_enough_to_write_and_needed(server, tmp_path):
    await server.call("POST", objects_of("v1"), entry("payments", "10.3.0.1"))
    reader = await account(server, tmp_path, "status-reader", RIGHTS)
    async with session(writer(reader)) as sink:
        await sink.until(lambda: sink.is_synced)
        await sink.until(lambda: sink.problems)
        assert "no status is written: cannot keep the lease" in sink.problems[0][1]
    kubeconfig = await account(server, tmp_path, "status-writer", [*RIGHTS, *WRITES])
    async with session(writer(kubeconfig)):
        await until_condition(server, "payments", "True")
