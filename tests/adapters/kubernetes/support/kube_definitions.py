"""Custom resources for tests: their definitions, installed and changed on a real server."""

from __future__ import annotations

import contextlib

from objects import Json

import server_process
from kube_server import KubeApi
from server_process import wait_for

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = "serviceentries.networking.istio.io"
_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(served: tuple[str, ...] = ("v1",), *, stored: str = "v1") -> Json:
    """With all three versions, of which some are served."""
    versions = [
        {
            "name": version,
            "served": version in served,
            "storage": version == stored,
            "schema": {"openAPIV3Schema": _SCHEMA},
            "subresources": {"status": {}},
        }
        for version in ("v1", "v1beta1", "v1alpha3")
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": "networking.istio.io",
            "scope": "Namespaced",
            "names": {
                "plural": "serviceentries",
                "singular": "serviceentry",
                "kind": "ServiceEntry",
            },
            "versions": versions,
        },
    }


async def install(server: KubeApi, version: str = "v1") -> None:
    await server.call("POST", DEFINITIONS, definition((version,)))

    async def served() -> bool:
        await server.call("GET", objects_of(version))
        return True

    await wait_for(served, "the resource to be served")


async def serve(server: KubeApi, *versions: str) -> None:
    await server.call("PATCH", f"{DEFINITIONS}/{NAME}", {"spec": definition(versions)["spec"]})


async def uninstall(server: KubeApi) -> None:
    with contextlib.suppress(server_process.Refused):  # it is not there
        await server.call("DELETE", f"{DEFINITIONS}/{NAME}")

    async def gone() -> bool:
        try:
            await server.call("GET", f"{DEFINITIONS}/{NAME}")
        except server_process.Refused:
            return True
        return False

    await wait_for(gone, "the resource to be gone")


def objects_of(version: str) -> str:
    return f"/apis/networking.istio.io/{version}/namespaces/shop/serviceentries"


def entry(name: str, address: str, version: str = "v1", **spec: object) -> Json:
    return {
        "apiVersion": f"networking.istio.io/{version}",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "hosts": [f"{name}.example.com"],
            "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "endpoints": [{"address": address}],
            **spec,
        },
    }
