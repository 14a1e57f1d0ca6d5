"""Service accounts with just the rights that a test gives them."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

from objects import Json

import server_process
from kube_server import KubeApi

_RBAC = "/apis/rbac.authorization.k8s.io/v1"


async def account(server: KubeApi, folder: Path, name: str, rules: list[Json]) -> Path:
    """A kubeconfig of the account `name` in `shop`, which may do just that, everywhere."""
    await create(server, "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": name}})
    role = {"metadata": {"name": name}, "rules": rules}
    await create(server, f"{_RBAC}/clusterroles", role)
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "shop"}],
    }
    await create(server, f"{_RBAC}/clusterrolebindings", binding)
    token = await server.service_account_token("shop", name)
    return written(server, folder / f"{name}.kubeconfig", token)


def written(server: KubeApi, file: Path, token: str) -> Path:
    """A kubeconfig for this token, all in one."""
    ca = base64.b64encode(server.ca.read_bytes()).decode()
    said = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": server.url, "certificate-authority-data": ca}}
        ],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    file.write_text(json.dumps(said))
    return file


async def create(server: KubeApi, path: str, body: Json) -> None:
    """Make it, unless it is there."""
    with contextlib.suppress(server_process.Refused):
        await server.call("POST", path, body)
