"""A real Kubernetes API server on loopback, with etcd below it.

    async with KubeApi(controller_manager=True) as kube:
        await kube.call("GET", "/api/v1/nodes")

There is no kubelet and no scheduler: tests write Nodes, `spec.nodeName` and Pod status themselves.
"""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from server_process import LOOPBACK, Process, Server, binary, free_ports

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
)
"""Enough for Services to get endpoints, for Namespaces to go away, and for the built-in roles
(view, edit, admin) to allow anything."""


class KubeApi(Server):
    """etcd and kube-apiserver with TLS and RBAC, and with `controller_manager` the controllers.

    `token` is a cluster administrator's. Without the controllers no service account is made by
    itself, so none is asked of a Pod either.
    """

    etcd: Process
    api: Process
    manager: Process

    def __init__(
        self,
        *,
        controller_manager: bool = False,
        controllers: Sequence[str] = CONTROLLERS,
        flags: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.port, client, peer = free_ports(3)
        self.url = f"https://{LOOPBACK}:{self.port}"
        self.token = secrets.token_urlsafe(32)
        self._etcd_client, self._etcd_peer = (f"http://{LOOPBACK}:{p}" for p in (client, peer))
        self._controllers = controllers if controller_manager else ()
        self._flags = flags

    @property
    def ca(self) -> Path:
        """What the API server's certificate is verified with; it makes both at its first start."""
        return self.folder / "certs" / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    async def service_account_token(self, namespace: str, name: str, *audiences: str) -> str:
        """A token of a service account, by TokenRequest."""
        target = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": list(audiences)},
        }
        answer = await self.call("POST", target, request)
        return str(answer["status"]["token"])

    async def _start(self) -> None:
        self._write_credentials()
        self.etcd = self._own(self._make_etcd())
        await self.etcd.start()
        self.api = self._own(self._make_api())
        await self.api.start()
        if self._controllers:
            self.manager = self._own(self._make_manager())
            await self.manager.start()

    def _write_credentials(self) -> None:
        (self.folder / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        (self.folder / "signing.key").write_bytes(key)
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(json.dumps(config))  # JSON is YAML

    def _make_etcd(self) -> Process:
        command = [
            str(binary("etcd")),
            "--name=test",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_client}",
            f"--advertise-client-urls={self._etcd_client}",
            f"--listen-peer-urls={self._etcd_peer}",
            f"--initial-advertise-peer-urls={self._etcd_peer}",
            f"--initial-cluster=test={self._etcd_peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        return Process(command, self.folder / "etcd.log", self._etcd_is_ready)

    async def _etcd_is_ready(self) -> bool:
        etcd = Server()
        etcd.url = self._etcd_client
        return bool((await etcd.send("GET", "/health", timeout=2)).body)

    def _make_api(self) -> Process:
        key = self.folder / "signing.key"
        command = [
            str(binary("kube-apiserver")),
            f"--etcd-servers={self._etcd_client}",
            f"--bind-address={LOOPBACK}",
            f"--advertise-address={LOOPBACK}",
            "--endpoint-reconciler-type=none",  # the others refuse a loopback address, for ever
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'certs'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            # Without it an open watch keeps the server from ending for 60 s.
            "--shutdown-watch-termination-grace-period=1s",
            *self._flags,
        ]
        if "serviceaccount-controller" not in self._controllers:
            command.append("--disable-admission-plugins=ServiceAccount")
        return Process(command, self.folder / "apiserver.log", self._is_ready)

    async def _is_ready(self) -> bool:
        if self.tls is None:
            self.tls = ssl.create_default_context(cafile=self.ca)
        return bool((await self.send("GET", "/readyz", timeout=2)).body == "ok")

    def _make_manager(self) -> Process:
        command = [
            str(binary("kube-controller-manager")),
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(self._controllers)}",
            f"--root-ca-file={self.ca}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]
        return Process(command, self.folder / "manager.log", self._manager_is_ready)

    async def _manager_is_ready(self) -> bool:
        if "serviceaccount-controller" not in self._controllers:
            return True
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        return bool((await self.send("GET", account, timeout=2)).body)
