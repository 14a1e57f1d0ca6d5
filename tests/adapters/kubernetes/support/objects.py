"""Objects as users and controllers write them, and a whole cluster's worth by the kind."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
SLICE_GROUP = "/apis/discovery.k8s.io/v1"


def service(name: str, namespace: str = "shop", **spec: Any) -> Json:
    """A ClusterIP service with one HTTP port, unless `spec` says otherwise."""
    said = {"ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": said,
    }


def endpoint(address: str, pod: str = "", *, uid: str = "", **more: Any) -> Json:
    made: Json = {"addresses": [address], "conditions": {"ready": True}, **more}
    if pod:
        made["targetRef"] = {"kind": "Pod", "name": pod, "namespace": "shop"}
        if uid:
            made["targetRef"]["uid"] = uid
    return made


def endpoint_slice(name: str, of: str, *endpoints: Json, **more: Any) -> Json:
    """A slice of `shop`; `more` replaces its fields."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        **more,
    }


def pod(name: str, address: str, namespace: str = "shop", **more: Any) -> Json:
    """A pod that is ready. `labels`, `account`, `node`, `uid`, `host_network`, `created`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": more.get("uid", f"uid-{name}"),
            "labels": more.get("labels", {"app": "web"}),
            "creationTimestamp": more.get("created", "2026-01-01T00:00:00Z"),
        },
        "spec": {
            "serviceAccountName": more.get("account", "web"),
            "nodeName": more.get("node", "node-1"),
            "hostNetwork": more.get("host_network", False),
            "containers": [{"name": "app", "image": "app"}],
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def node(name: str, **labels: str) -> Json:
    spelled = {f"topology.kubernetes.io/{key}": value for key, value in labels.items()}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": spelled}}
